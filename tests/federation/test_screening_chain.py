"""A chain of screenings against a plain computation on sets of rows, and through every strategy that merges banks."""

import inspect
import logging
import zlib
from collections import Counter
from dataclasses import asdict, replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalib_federated import registry
from anomalib_federated.bank import MemoryBank
from anomalib_federated.interfaces.configured_strategy import build_strategy
from anomalib_federated.interfaces.refused import Refused, refused_altogether
from anomalib_federated.interfaces.screening import Refusal, Screening
from anomalib_federated.interfaces.screening_chain import build_chain, screen_banks
from anomalib_federated.interfaces.strategy import FederationError
from anomalib_federated.registry import PluginError
from anomalib_federated.testing import example_bank
from anomalib_federated_plugins.strategy.concatenate import Concatenate
from anomalib_federated_plugins.strategy.exact_k_center import ExactKCenter
from anomalib_federated_plugins.strategy.noisy_sums import NoisySums

CATEGORIES = ("bolt", "nut", "screw")
SITES = ("a", "b", "c", "d", "e")


def by_lot(row, salt):
    """Of a row, a number in 0 .. 99 that looks drawn."""
    return zlib.crc32(salt.to_bytes(4, "big") + row.float().numpy().tobytes()) % 100


class Lots(Screening):
    """Refuses a share of all rows, each by a lot of its own, and remembers what it was asked."""

    def __init__(self, *, salt=0, percent=30):
        self.salt, self.percent = salt, percent
        self.asked = []

    def screen(self, banks):
        self.asked.append(banks)
        masks = {
            bank.sites[0]: torch.tensor([by_lot(row, self.salt) < self.percent for row in bank.features])
            for bank in banks
        }
        return [
            Refusal(site=site, rows=mask, reason=f"salt {self.salt}")
            for site, mask in masks.items()
            if bool(mask.any())
        ]


class Answers(Screening):
    """Gives the answer that it was made with."""

    def __init__(self, answer):
        self.answer = answer

    def screen(self, banks):
        return self.answer


def refusal(site="a", n=6, rows=None, reason="because"):
    return Refusal(site=site, rows=torch.ones(n, dtype=torch.bool) if rows is None else rows, reason=reason)


@st.composite
def federations(draw):
    """Sites that hold some categories each, their rows in any order."""
    banks = []
    for number, site in enumerate(draw(st.lists(st.sampled_from(SITES), min_size=1, unique=True))):
        held = draw(st.lists(st.sampled_from(CATEGORIES), min_size=1, unique=True))
        parts = [
            example_bank(site=site, category=name, rows=draw(st.integers(1, 6)), seed=100 * number + where)
            for where, name in enumerate(held)
        ]
        bank = MemoryBank.merge(parts)
        banks.append(bank.select(torch.tensor(draw(st.permutations(range(len(bank)))))))
    return banks


def rows_of(bank):
    """Per row its site, category, features and weight."""
    return [
        (bank.sites[site], bank.categories[category], row.numpy().tobytes(), weight)
        for site, category, row, weight in zip(
            bank.row_site.tolist(), bank.row_category.tolist(), bank.features, bank.weights.tolist(), strict=True
        )
    ]


def features_of(row):
    return torch.frombuffer(bytearray(row[2]), dtype=torch.float32)


@settings(max_examples=60, deadline=None)
@given(
    banks=federations(),
    chain=st.lists(st.tuples(st.integers(0, 99), st.sampled_from([0, 30, 80])), max_size=3),
)
def test_a_chain_leaves_what_no_screening_refused(banks, chain):
    sent = [row for bank in banks for row in rows_of(bank)]
    left, expected = list(sent), Counter()
    for number, (salt, percent) in enumerate(chain):
        for row in list(left):
            if by_lot(features_of(row), salt) < percent:
                left.remove(row)
                expected[f"lot {number}", row[0], row[1]] += 1
    screenings = tuple(
        (f"lot {number}", Lots(salt=salt, percent=percent)) for number, (salt, percent) in enumerate(chain)
    )
    strategy = Concatenate()
    strategy.screening = screenings
    if {row[1] for row in left} != {row[1] for row in sent}:
        with pytest.raises(FederationError, match="The screenings leave no row of category"):
            strategy.merge(banks)
        return
    merged = strategy.merge(banks)
    assert sorted(rows_of(merged)) == sorted(left)
    # What is left of a site and category, and no more, is on record.
    assert {(item.site, item.category) for item in merged.contributions} == {row[:2] for row in left}
    assert set(merged.sites) == {row[0] for row in left}
    count = Counter(row[:2] for row in sent)
    assert {(each.screening, each.site, each.category): each.rows for each in strategy.refused} == expected
    assert all(each.of == count[each.site, each.category] for each in strategy.refused)
    assert refused_altogether(strategy.refused) == set(count) - {row[:2] for row in left}


STRATEGIES = [
    name
    for name in registry.available("strategy")
    if name not in {"exact_k_center", "noisy_sums"}  # which take no screening; see below
]


@pytest.mark.parametrize("name", STRATEGIES)
def test_no_strategy_admits_what_was_refused(name):
    plugin = registry.load("strategy", name)
    budget = {"budget": 6} if "budget" in inspect.signature(plugin).parameters else {}

    @settings(max_examples=8, deadline=None)
    @given(banks=federations(), data=st.data())
    def admits_nothing(banks, data):
        strategy = plugin(**budget)
        strategy.screening = (("first", Lots(salt=1, percent=20)), ("second", Lots(salt=2, percent=20)))
        gone = {
            row[2]
            for bank in banks
            for row in rows_of(bank)
            if min(by_lot(features_of(row), salt) for salt in (1, 2)) < 20
        }
        try:
            merged = strategy.merge(banks)
        except FederationError:
            return
        assert not gone & {row[2] for row in rows_of(merged)}
        first = strategy.refused
        assert strategy.merge(data.draw(st.permutations(banks))).to_bytes() == merged.to_bytes()
        assert strategy.refused == first

    admits_nothing()


def bank_of(site, **rows):
    return MemoryBank.merge(
        example_bank(site=site, category=name, rows=count, seed=zlib.crc32(f"{site} {name}".encode()))
        for name, count in rows.items()
    )


def test_a_screening_sees_one_category_at_a_time_and_what_those_before_it_left():
    banks = [bank_of("a", nut=5, screw=4), bank_of("b", screw=3), bank_of("c", nut=2)]
    first, second = Lots(percent=50, salt=5), Lots(percent=0)
    _, refused = screen_banks(banks, (("first", first), ("second", second)))
    assert [[(bank.categories, bank.sites[0], len(bank)) for bank in asked] for asked in first.asked] == [
        [(("nut",), "a", 5), (("nut",), "c", 2)],
        [(("screw",), "a", 4), (("screw",), "b", 3)],
    ]
    gone = {(each.category, each.site): each.rows for each in refused}
    assert gone
    for asked, seen in zip(first.asked, second.asked, strict=True):
        left = {(bank.categories[0], bank.sites[0]): len(bank) for bank in asked}
        left = {pair: rows - gone.get(pair, 0) for pair, rows in left.items()}
        assert {(bank.categories[0], bank.sites[0]): len(bank) for bank in seen} == {
            pair: rows for pair, rows in left.items() if rows
        }


def test_a_site_of_which_nothing_is_refused_keeps_its_very_bank():
    banks = [bank_of("a", nut=5), bank_of("b", nut=3)]
    left, refused = screen_banks(banks, (("half", Answers([refusal("b", 3, torch.tensor([True, False, True]))])),))
    assert left[0] is banks[0]
    assert torch.equal(left[1].features, banks[1].features[1:2])
    assert left[1].contributions == banks[1].contributions  # what the site saw, and sent, stays on record
    assert [asdict(each) for each in refused] == [
        {"screening": "half", "site": "b", "category": "nut", "rows": 2, "of": 3, "reason": "because"}
    ]
    left, refused = screen_banks(banks, ())
    assert left == banks
    assert refused == ()


def test_categories_that_lost_nothing_keep_their_covering_radius():
    class Nuts(Screening):
        def screen(self, banks):
            return (
                [refusal("a", 4, torch.tensor([True, False, False, False]))] if banks[0].categories == ("nut",) else []
            )

    (left,), _ = screen_banks([bank_of("a", nut=4, screw=3)], (("nuts", Nuts()),))
    assert left.covering_radius == {"screw": 0.5}


def test_nobody_is_asked_about_nothing():
    late = Lots()
    with pytest.raises(FederationError):
        screen_banks([bank_of("a", nut=2)], (("all", Lots(percent=100)), ("late", late)))
    assert late.asked == []


def test_if_nothing_is_left_the_error_says_who_refused_what_and_how_to_mend_it():
    strategy = Concatenate()
    strategy.screening = (("nought", Lots(percent=0)), ("all", Lots(percent=100, salt=7)))
    with pytest.raises(FederationError) as caught:
        strategy.merge([bank_of("a", nut=2, screw=1), bank_of("b", nut=3)])
    assert str(caught.value) == (
        "The screenings leave no row of category 'nut': all refused 2 of 2 rows of a (salt 7); all refused 3 of 3 rows "
        "of b (salt 7). Look at what these sites send; then set the screenings otherwise, leave one out, or wait for "
        "more sites."
    )


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (None, "must answer with a list of Refusal, but gave None"),
        ([("a", torch.ones(6, dtype=torch.bool))], "must answer with a list of Refusal"),
        ([refusal("b")], "refuses rows of site 'b', but was asked about a"),
        ([refusal(), refusal()], "refuses rows of site 'a' twice"),
        ([refusal(rows=[True] * 6)], "by a list, which must be a tensor"),
        ([refusal(rows=torch.ones(6))], r"by a tensor of torch.float32 and shape \(6,\), which must be torch.bool"),
        ([refusal(n=5)], r"by a tensor of torch.bool and shape \(5,\), which must be torch.bool and \(6,\)"),
        ([refusal(rows=torch.zeros(6, dtype=torch.bool))], "by a mask that names none of them"),
        ([refusal(reason="  ")], "without a reason"),
        ([refusal(reason=3)], "without a reason"),
    ],
    ids=["none", "tuples", "unknown", "twice", "list", "float", "short", "empty", "blank", "number"],
)
def test_a_wrong_answer_is_an_error_that_names_the_plugin_and_its_distribution(answer, fault):
    with pytest.raises(PluginError, match=fault) as caught:
        screen_banks([bank_of("a", nut=6)], (("mine", Answers(answer)),))
    assert "screening class 'test_screening_chain.Answers' of no distribution" in str(caught.value).replace(
        __name__, "test_screening_chain"
    )


def test_a_registered_plugin_is_blamed_by_its_name(monkeypatch):
    (chain,) = build_chain(["row_quota"])
    monkeypatch.setattr(type(chain[1]), "screen", lambda self, banks: {})
    with pytest.raises(PluginError, match=r"^The screening plugin 'row_quota' of anomalib-federated \d\S* must answer"):
        screen_banks([bank_of("a", nut=6)], (chain,))


def test_a_reason_cannot_upset_a_terminal():
    _, (told,) = screen_banks(
        [bank_of("a", nut=6)], (("mine", Answers([refusal(rows=torch.arange(6) < 1, reason="\x1b[2J" + 999 * "x")])),)
    )
    assert told.reason.startswith(r"\x1b[2J")
    assert len(told.reason) == 500


def test_unknown_screenings_and_arguments_are_refused():
    with pytest.raises(PluginError, match="no screening plugin named 'row_qota'"):
        build_chain(["row_quota", "row_qota"])
    with pytest.raises(PluginError, match="The screening 'row_quota' cannot be made with"):
        build_chain([{"class_path": "row_quota", "init_args": {"rows": 3}}])


@pytest.mark.parametrize("plugin", [ExactKCenter, NoisySums])
def test_who_merges_no_banks_of_sites_refuses_a_screening(plugin):
    strategy = plugin()
    strategy.screening = ()
    with pytest.raises(FederationError, match=f"The strategy {plugin.__name__} merges no whole banks of sites.*lots"):
        strategy.screening = (("lots", Lots()),)
    assert strategy.screening == ()


def test_a_strategy_of_a_config_has_its_screenings_and_says_so(caplog):
    strategy = build_strategy(
        {"class_path": "federated_coreset", "init_args": {"budget": 9}},
        screening=["row_quota", {"class_path": "site_zscore", "init_args": {"threshold": 5}}],
        seed=4,
    )
    assert [(name, type(plugin).__name__) for name, plugin in strategy.screening] == [
        ("row_quota", "RowQuota"),
        ("site_zscore", "SiteZScore"),
    ]
    assert strategy.screening[1][1].threshold == 5
    with caplog.at_level(logging.INFO):
        strategy.summary()
    assert "'screening': ['row_quota', 'site_zscore']" in caplog.text
    assert "refused" not in caplog.text
    with pytest.raises(FederationError, match="merges no whole banks of sites"):
        build_strategy("exact_k_center", screening=["row_quota"])


def test_what_is_refused_is_told_in_the_log(caplog):
    strategy = Concatenate()
    strategy.screening = (("half", Answers([refusal(rows=torch.arange(6) < 3)])),)
    with caplog.at_level(logging.INFO):
        strategy.merge([bank_of("a", nut=6)])
    assert "half refuses 3 of 6 rows of site a, category nut: because" in caplog.text


@pytest.mark.parametrize(("rows", "of"), [(0, 3), (4, 3), (-1, 3), (0, 0)])
def test_impossible_records_are_refused(rows, of):
    with pytest.raises(ValueError, match=f"cannot have refused {rows} of {of} rows"):
        Refused(screening="s", site="a", category="nut", rows=rows, of=of, reason="r")


def test_banks_on_disk_are_screened_as_those_in_memory(tmp_path):
    banks = [bank_of("a", nut=5, screw=4), bank_of("b", nut=3)]
    stored = [MemoryBank.open(bank.save(tmp_path / bank.sites[0])) for bank in banks]
    chain = (("lots", Lots(percent=40)),)
    in_memory, on_disk = screen_banks(banks, chain), screen_banks(stored, chain)
    assert [bank.digest for bank in in_memory[0]] == [bank.digest for bank in on_disk[0]]
    assert in_memory[1] == on_disk[1] != ()


def test_float16_rows_stay_as_they_are():
    banks = [replace(bank_of("a", nut=5), features=bank_of("a", nut=5).features.half())]
    (left,), _ = screen_banks(banks, (("first", Answers([refusal(rows=torch.arange(5) < 1)])),))
    assert left.features.dtype == torch.float16
    assert torch.equal(left.features, banks[0].features[1:])
