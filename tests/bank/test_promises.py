"""What was promised about pictures stays with the bank, wherever it goes, and nobody can make it mean more."""

import json
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalib_federated.bank import BankError, MemoryBank
from anomalib_federated.bank.category_union import CategoryUnion
from anomalib_federated.messages.agreement import META_BYTES, Agreement
from anomalib_federated.privacy import PrivacyReport
from anomalib_federated.privacy.gaussian import epsilon_of
from anomalib_federated.privacy.report import MAX_TEXT
from anomalib_federated.testing import example_bank
from anomalib_federated.testing.privacy import example_report
from tests.federation.hostile import pack, unpack

REPORT, OTHER = example_report(epsilon=2.0), example_report(epsilon=4.0)


def bank_of(site, report=None, **settings):
    return replace(example_bank(site=site, **settings), privacy={} if report is None else {site: report})


def both():
    return MemoryBank.merge([bank_of("a", REPORT, category="screw"), bank_of("b", category="nut")])


def test_nothing_is_promised_unless_said():
    assert example_bank().privacy == {}
    assert json.loads(json.dumps(unpack(example_bank().to_bytes())[1]))["privacy"] == []


def test_a_promise_stays_with_the_rows():
    bank = both()
    assert bank.privacy == {"a": REPORT}
    for other in (bank.select(torch.tensor([3, 20])), bank.for_category("nut"), bank.to(torch.float16)):
        assert other.privacy == {"a": REPORT}
    kept = CategoryUnion([bank_of("a", REPORT), bank_of("b", OTHER)], "screw").keep(
        torch.tensor([0]), weights=torch.ones(1), coreset="by hand"
    )
    assert kept.privacy == {"a": REPORT, "b": OTHER}


@pytest.mark.parametrize("second", [OTHER, None])
def test_two_promises_about_one_site_are_refused(second):
    banks = [bank_of("a", REPORT, category="screw"), bank_of("a", second, category="nut")]
    for order in (banks, banks[::-1]):
        with pytest.raises(BankError, match="two banks of site 'a' come with different promises"):
            MemoryBank.merge(order)
        with pytest.raises(BankError, match="different promises"):
            CategoryUnion(order, "screw")
    same = MemoryBank.merge([banks[0], bank_of("a", REPORT, category="nut")])
    assert same.privacy == {"a": REPORT}


SENTENCES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40).filter(str.isprintable)


@st.composite
def reports(draw):
    multipliers = tuple(draw(st.lists(st.floats(min_value=0.05, max_value=1e3), min_size=1, max_size=4)))
    delta = draw(st.floats(min_value=1e-9, max_value=0.1))
    unit = draw(st.sampled_from(["row", "picture", "part"]))
    return PrivacyReport(
        plugin=draw(SENTENCES),
        unit=unit,
        adjacency=draw(st.sampled_from(["add_or_remove", "replace"])),
        mechanism=draw(SENTENCES),
        clip=draw(st.floats(min_value=1e-300, max_value=1e300)),
        noise_multipliers=multipliers,
        epsilon=epsilon_of(sum(z**-2 for z in multipliers) ** 0.5, delta)
        + draw(st.floats(min_value=1e-3, max_value=9)),
        delta=delta,
        covers=tuple(draw(st.lists(SENTENCES, max_size=3))),
        exposes=tuple(draw(st.lists(SENTENCES, max_size=3))) if unit == "row" else (),
        noise_by="each_site",
    )


@settings(max_examples=40, deadline=None)
@given(st.lists(st.none() | reports(), min_size=1, max_size=4), st.data())
def test_bytes_give_back_any_promises(given_reports, data):
    given_reports = [data.draw(st.sampled_from(given_reports)) for _ in range(4)]
    bank = MemoryBank.merge(bank_of(f"site {n}", each, rows=2) for n, each in enumerate(given_reports))
    again = MemoryBank.from_bytes(bank.to_bytes(), source="here")
    assert again.privacy == bank.privacy
    assert (again.digest, again.to_bytes()) == (bank.digest, bank.to_bytes())


def test_the_digest_covers_the_promise():
    bank = both()
    changed = [
        replace(bank, privacy=privacy) for privacy in ({}, {"a": OTHER}, {"b": REPORT}, {"a": REPORT, "b": REPORT})
    ]
    assert len({each.digest for each in [bank, *changed]}) == 5


def test_the_order_of_sites_in_a_promise_changes_nothing():
    bank = both()
    one, other = (replace(bank, privacy=dict.fromkeys(order, REPORT)) for order in ("ab", "ba"))
    assert one.to_bytes() == other.to_bytes()


@pytest.mark.parametrize(
    ("privacy", "message"),
    [
        ({"b": REPORT}, "promised about site 'b', which it does not hold"),
        ({"a": "epsilon 1"}, "no privacy report"),
        ({"a": None}, "no privacy report"),
        ({7: REPORT}, "site 7, which it does not hold"),
        ({"a": replace(REPORT, public=("x" * 500,) * 100, covers=("x" * 500,) * 40)}, "longer than the 65536"),
    ],
)
def test_what_is_no_promise_about_a_site_is_refused(privacy, message):
    with pytest.raises(BankError, match=message):
        replace(example_bank(site="a"), privacy=privacy)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ([], {}, "are not lists"),
        ([], [7], "not a report and its sites"),
        ([0, "sites"], "a", "not a report and its sites"),
        ([0, "sites"], ["nobody"], "site 'nobody', which it does not hold"),
        ([0, "sites"], ["a", "a"], "two promises about site 'a'"),
        ([0, "sites"], [["a"]], "unhashable"),
        ([0, "more"], 1, "not a report and its sites"),
        ([0], {"sites": ["a"]}, "not a report and its sites"),
        ([0, "report"], "none", "cannot be used"),
        ([0, "report", "epsilon"], 0.5, "its noise gives no less than"),
        ([0, "report", "epsilon"], None, "all or none"),
        ([0, "report", "epsilon"], "2", "epsilon"),
        ([0, "report", "delta"], 2.0, "delta"),
        ([0, "report", "unit"], "everything", "unit"),
        ([0, "report", "mechanism"], "\x1b[2J", "cannot be printed"),
        ([0, "report", "mechanism"], "\ud800", "cannot be used"),
        ([0, "report", "surprise"], 1, "surprise"),
        ([0, "report", "covers"], ["x" * 500] * 200, "characters, more than the 65536|100 items"),
        ([0, "report", "noise_multipliers"], [[]] * 900, "noise_multipliers"),
    ],
)
def test_promises_that_lie_are_refused_on_arrival(path, value, message):
    header, meta, body = unpack(bank_of("a", REPORT).to_bytes())
    *above, last = ["privacy", *path]
    target = meta
    for key in above:
        target = target[key]
    target[last] = value
    with pytest.raises(BankError, match=message) as caught:
        MemoryBank.from_bytes(pack(header, meta, body), source="The bank of plant-x")
    assert str(caught.value).startswith("The bank of plant-x is not a valid memory bank (")


def test_the_longest_promise_fits_what_a_site_may_send():
    letter = "\U0001f600"  # 12 bytes of ASCII in JSON, and 14 in a header, where JSON is text
    longest = replace(REPORT, public=())
    while len(replace(longest, public=(*longest.public, letter * 500)).to_json()) <= MAX_TEXT:
        longest = replace(longest, public=(*longest.public, letter * 500), covers=longest.covers)
        if len(longest.public) == 100:
            break
    rest = MAX_TEXT - len(longest.to_json())
    longest = replace(longest, covers=(*longest.covers, *(letter * 490 for _ in range(rest // 500))))
    assert MAX_TEXT - 1000 < len(longest.to_json()) <= MAX_TEXT
    bank = bank_of("a", longest, rows=1)
    agreement = Agreement(space=bank.space, dtype="float32", budget=1)
    data = bank.to_bytes()
    assert META_BYTES / 2 < len(data) <= agreement.max_bytes
    assert MemoryBank.from_bytes(data, source="here", max_bytes=agreement.max_bytes).privacy == bank.privacy


def test_ten_thousand_sites_with_one_promise_say_it_once():
    bank = example_bank(rows=1)
    sites = (*bank.sites, *(f"site {number}" for number in range(9999)))
    many = replace(bank, sites=sites, privacy=dict.fromkeys(sites, REPORT))
    assert len(many.to_bytes()) < 1_000_000
    assert MemoryBank.from_bytes(many.to_bytes(), source="here").privacy == many.privacy
