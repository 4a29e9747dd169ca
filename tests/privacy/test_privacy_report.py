"""A report promises no more than its figures give, and nothing from outside is believed."""

import json
import math
from dataclasses import replace

import pytest

from anomalib_federated.privacy import PrivacyReport
from anomalib_federated.privacy.report import PrivacyReportError
from anomalib_federated.testing.privacy import example_report

NOTHING = PrivacyReport(plugin="none", unit="none", mechanism="None.", accountant="none", exposes=("all rows",))


def changed(**fields):
    return json.dumps({**json.loads(example_report(epsilon=2.0).to_json()), **fields})


@pytest.mark.parametrize("report", [example_report(epsilon=0.5), example_report(epsilon=8.0, delta=1e-6), NOTHING])
def test_json_and_back(report):
    assert PrivacyReport.from_json(report.to_json(), source="x") == report


def test_words_a_plant_understands():
    said = " ".join(example_report(epsilon=2.0).in_words)
    assert "one picture" in said
    assert "7.39 times" in said
    assert "six pictures: for it, epsilon is 16.7" in said
    assert "nobody outside the site needs to be trusted" in said


def test_no_promise_says_so():
    assert NOTHING.in_words == ("Nothing is promised: what is sent can be traced back to single pictures.",)
    assert math.isinf(NOTHING.mu)
    assert not NOTHING.per_picture


def test_a_promise_per_row_says_that_it_is_none_per_picture():
    report = replace(example_report(epsilon=1.0), unit="row", exposes=("weights",))
    assert "promises nothing about a picture" in " ".join(report.in_words)
    assert not report.per_picture


def test_honest_sites_are_counted_in_words():
    report = replace(example_report(epsilon=1.0), noise_by="honest_sites", honest_sites=4)
    assert "at least 4 sites" in " ".join(report.in_words)


def test_enormous_epsilons_have_words():
    report = replace(example_report(epsilon=8.0), epsilon=5000.0)
    assert "e+304" in " ".join(report.in_words)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"epsilon": 1.9}, "no less than 2"),
        ({"noise_multipliers": [1.0]}, "no less than"),
        ({"noise_multipliers": [2.0] * 3}, "no less than"),
        ({"noise_multipliers": []}, "all or none"),
        ({"noise_multipliers": [-2.0]}, "greater than 0"),
        ({"noise_multipliers": 2.0}, "valid array"),
        ({"delta": 1e-7}, "no less than"),
        ({"delta": 1.0}, "less than 1"),
        ({"delta": None}, "all or none"),
        ({"epsilon": None}, "all or none"),
        ({"epsilon": "2"}, "valid number"),
        ({"epsilon": True}, "valid number"),
        ({"clip": None}, "all or none"),
        ({"clip": 0.0}, "greater than 0"),
        ({"unit": "none"}, "all or none"),
        ({"unit": "world"}, "unit"),
        ({"adjacency": "none"}, "all or none"),
        ({"noise_by": "nobody"}, "all or none"),
        ({"honest_sites": 3}, "not shared among sites"),
        ({"honest_sites": 0}, "greater than or equal to 1"),
        ({"exposes": ["counts"]}, "must cover all that is sent, but counts"),
        ({"mechanism": "\x1b[2J"}, "cannot be printed"),
        ({"plugin": "a\nb"}, "cannot be printed"),
        ({"plugin": ""}, "at least 1 character"),
        ({"covers": ["x" * 501]}, "at most 500"),
        ({"covers": ["x"] * 101}, "at most 100"),
        ({"more": 1}, "more"),
    ],
)
def test_impossible_reports_are_refused(fields, said):
    with pytest.raises(PrivacyReportError, match=said) as caught:
        PrivacyReport.from_json(changed(**fields), source="site 'a'")
    assert "site 'a'" in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "text",
    ["", "[]", "null", "{", '{"epsilon": NaN}', "x" * 70_000, "[" * 50_000,
     '{"unit": "none", "unit": "none", "plugin": "a", "mechanism": "b"}'],
)  # fmt: skip
def test_what_is_no_report_is_refused(text):
    with pytest.raises(PrivacyReportError, match="cannot be used"):
        PrivacyReport.from_json(text, source="x")


def test_infinite_noise_is_refused():
    with pytest.raises(PrivacyReportError):
        PrivacyReport.from_json(changed(noise_multipliers=[2.0]).replace("[2.0]", "[1e999]"), source="x")


def test_a_larger_epsilon_than_necessary_may_be_told():
    assert replace(example_report(epsilon=2.0), epsilon=3.0).epsilon == 3.0
