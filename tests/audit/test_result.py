"""What an audit says."""

import json
from dataclasses import replace

import pytest

from anomalib_federated.audit import AuditResult
from anomalib_federated.privacy.gaussian import epsilon_of, mu_of

RESULT = AuditResult(
    plugin="example", unit="picture", adjacency="add_or_remove", epsilon=2.0, delta=1e-5, mu=mu_of(2.0, 1e-5),
    setting="a test", method="canary", runs=1000, confidence=0.95, epsilon_found=0.8, mu_found=0.4,
    membership_auc=0.55,
)  # fmt: skip


def test_a_promise_that_stands():
    assert not RESULT.refuted
    assert RESULT.in_words[0].startswith("Not refuted: 'example' claims epsilon 2")
    assert RESULT.epsilon_if_gaussian == epsilon_of(0.4, 1e-5)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"epsilon_found": 2.1}, "at least 2.1"),
        ({"mu_found": 0.6}, "a mu of 0.502 by the report, but to at least 0.6"),
        ({"epsilon_found": 3.0, "mu_found": None, "method": "one_run"}, "at least 3"),
    ],
)
def test_a_promise_that_falls(changed, words):
    result = replace(RESULT, **changed)
    assert result.refuted
    assert words in result.in_words[0]


def test_an_audit_that_shows_nothing_says_so():
    result = replace(RESULT, epsilon_found=0.0, mu_found=0.0)
    assert not result.refuted
    assert "nothing was shown" in result.in_words[0]


@pytest.mark.parametrize("unit", ["none", "row"])
def test_nothing_is_claimed(unit):
    changed = {"epsilon": None, "mu": None, "adjacency": "none"} if unit == "none" else {}
    result = replace(RESULT, unit=unit, epsilon_found=5.0, mu_found=4.0, **changed)
    assert not result.refuted
    assert result.in_words[0].startswith("Nothing is claimed about pictures")
    assert "at least 5" in result.in_words[1]


def test_the_bound_of_a_promise_that_is_just_kept_is_no_refutation():
    assert not replace(RESULT, epsilon_found=2.0, mu_found=mu_of(2.0, 1e-5)).refuted


def test_json_tells_all():
    told = json.loads(RESULT.to_json())
    assert told["refuted"] is False
    assert told["in_words"] == list(RESULT.in_words)
    assert (told["epsilon"], told["epsilon_found"], told["membership_auc"]) == (2.0, 0.8, 0.55)
    assert told["epsilon_if_gaussian"] == RESULT.epsilon_if_gaussian
