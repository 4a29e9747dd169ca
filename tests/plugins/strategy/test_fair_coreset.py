"""A coreset that is fair to sites, categories or groups of pictures."""

import logging
from itertools import permutations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalib_federated.bank import BankError, MemoryBank
from anomalib_federated.bank.row_groups import with_groups
from anomalib_federated.registry import PluginError, available
from anomalib_federated.testing import example_bank
from anomalib_federated_plugins.fairness.equal import Equal
from anomalib_federated_plugins.fairness.min_max import MinMax
from anomalib_federated_plugins.strategy.fair_coreset import FairCoreset

RULES = sorted(available("fairness"))


def banks():
    """Screws of three sites, one of them small and amid the others; nuts, few and narrow, at one of them."""
    nuts = example_bank(rows=8, site="b", category="nut", seed=3)
    return [
        example_bank(rows=60, site="a", seed=1),
        MemoryBank.merge([example_bank(rows=30, site="b", seed=2, offset=1.0), nuts]),
        example_bank(rows=5, site="c", seed=4),
    ]


def held(bank):
    return {site: int((bank.row_site == number).sum()) for number, site in enumerate(bank.sites)}


def rows_of(bank):
    return {name: len(bank.for_category(name)) for name in bank.categories}


def total_weights(bank):
    return {name: float(bank.for_category(name).weights.sum()) for name in bank.categories}


@pytest.mark.parametrize("rule", RULES)
def test_by_site_each_category_has_the_budget_for_itself(rule):
    merged = FairCoreset(budget=20, fairness=rule).merge(banks())
    assert rows_of(merged) == {"nut": 8, "screw": 20}
    assert total_weights(merged) == pytest.approx(total_weights(MemoryBank.merge(banks())), rel=1e-6)
    assert merged.coresets == dict.fromkeys(("nut", "screw"), f"{rule} by site of example")
    assert {(item.site, item.category) for item in merged.contributions} == {
        (bank.sites[0], name) for bank in banks() for name in bank.categories
    }


def test_by_site_rows_are_those_that_the_rule_chooses():
    union = MemoryBank.merge(bank.for_category("screw") for bank in banks())
    selection = MinMax().select(union.features, union.row_site, budget=20, seed=5)
    merged = FairCoreset(budget=20, fairness="min_max", seed=5).merge(banks()).for_category("screw")
    assert torch.equal(merged.features, union.features[selection.indices])
    assert held(merged) == dict(zip(union.sites, selection.quotas.tolist(), strict=True))


def test_equal_rows_of_every_site_and_what_a_small_one_leaves():
    merged = FairCoreset(budget=25, fairness="equal").merge(banks()).for_category("screw")
    assert held(merged) == {"a": 10, "b": 10, "c": 5}


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 20), min_size=2, max_size=3),
    rule=st.sampled_from(RULES),
    group_by=st.sampled_from(["site", "category", "group"]),
    budget=st.integers(4, 30),
    seed=st.integers(0, 99),
)
def test_the_order_in_which_sites_arrive_changes_nothing(sizes, rule, group_by, budget, seed):
    sent = [
        with_groups(example_bank(rows=n, site=f"s{i}", seed=seed + i, offset=i), ["x", *(n - 1) * "y"])
        for i, n in enumerate(sizes)
    ]
    strategy = FairCoreset(budget=budget, fairness=rule, group_by=group_by, seed=seed)
    found = {strategy.merge(order).to_bytes() for order in permutations(sent)}
    assert len(found) == 1


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("budget", [2, 3, 11, 40, 102])
def test_by_category_all_share_one_budget_and_each_keeps_a_row(rule, budget):
    merged = FairCoreset(budget=budget, fairness=rule, group_by="category").merge(banks())
    rows = rows_of(merged)
    assert sum(rows.values()) == budget
    assert min(rows.values()) >= 1
    assert set(rows) == {"nut", "screw"}
    assert total_weights(merged) == pytest.approx(total_weights(MemoryBank.merge(banks())), rel=1e-6)


def test_by_category_a_share_is_one_of_all_rows():
    assert len(FairCoreset(budget=0.5, fairness="equal", group_by="category").merge(banks())) == 51
    merged = FairCoreset(budget=0.5, fairness="proportional", group_by="category").merge(banks())
    assert rows_of(merged) == {"nut": 4, "screw": 47}


def test_by_category_a_kept_row_stands_only_for_rows_of_its_own_category():
    nuts = example_bank(rows=4, site="a", category="nut", seed=1)
    screws = example_bank(rows=6, site="a", seed=2)
    merged = FairCoreset(budget=2, fairness="equal", group_by="category").merge([MemoryBank.merge([screws, nuts])])
    assert total_weights(merged) == {"nut": float(nuts.weights.sum()), "screw": float(screws.weights.sum())}


def test_by_category_one_that_the_rule_forgets_keeps_a_row_in_place_of_the_latest_pick(caplog):
    """Nuts amid the screws, where nothing calls for them."""
    screws = example_bank(rows=60, site="a", seed=1)
    nuts = example_bank(rows=3, site="b", category="nut", seed=2)
    strategy = FairCoreset(budget=4, fairness="none", group_by="category")
    with caplog.at_level(logging.WARNING):
        merged = strategy.merge([screws, nuts])
    assert rows_of(merged) == {"nut": 1, "screw": 3}
    assert "keeps no row of 'nut'" in caplog.text
    alone = FairCoreset(budget=4, fairness="none").merge([screws])
    kept = {row.numpy().tobytes() for row in merged.for_category("screw").features}
    assert len(kept & {row.numpy().tobytes() for row in alone.features}) >= 2


def test_groups_of_equal_names_at_several_sites_are_one_group():
    a = with_groups(example_bank(rows=40, site="a", seed=1), 30 * ["dark"] + 10 * ["light"])
    b = with_groups(example_bank(rows=20, site="b", seed=2), 20 * ["light"])
    union = MemoryBank.merge([a, b])
    merged = FairCoreset(budget=12, fairness="equal", group_by="group").merge([b, a])
    names = [merged.groups[number] for number in merged.row_group.tolist()]
    assert (names.count("dark"), names.count("light")) == (6, 6)
    selection = Equal().select(union.features, union.row_group, budget=12)
    assert torch.equal(merged.features, union.features[selection.indices])
    assert merged.coresets == {"screw": "equal by group of example"}


def test_a_group_of_another_category_is_no_gap():
    """Of nuts there are only dark pictures, of screws only light ones."""
    nuts = with_groups(example_bank(rows=9, site="a", category="nut", seed=1), 9 * ["dark"])
    screws = with_groups(example_bank(rows=9, site="a", seed=2), 9 * ["light"])
    merged = FairCoreset(budget=3, group_by="group").merge([MemoryBank.merge([nuts, screws])])
    assert rows_of(merged) == {"nut": 3, "screw": 3}


def test_a_site_without_groups_is_told_how_to_get_them():
    told = with_groups(example_bank(rows=4, site="a"), 4 * ["dark"])
    with pytest.raises(BankError, match="Site 'b' does not say of which groups its rows of 'screw' are; let it build"):
        FairCoreset(budget=3, group_by="group").merge([told, example_bank(rows=4, site="b")])


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="groups by 'line'; give one of site, category, group"):
        FairCoreset(group_by="line")
    with pytest.raises(PluginError, match="Did you mean 'fair_k_center'"):
        FairCoreset(fairness="fair_kcenter")
    with pytest.raises(ValueError, match="shares a number of rows, not the target"):
        FairCoreset(budget={"radius": 0.5})
    with pytest.raises(ValueError, match="budget is 0"):
        FairCoreset(budget=0)
    with pytest.raises(ValueError, match="2 rows cannot give each of 3 groups a row; allow at least 3"):
        FairCoreset(budget=2, fairness="equal").merge(banks())
    with pytest.raises(ValueError, match="1 rows cannot give each of 2 categories a row; allow at least 2"):
        FairCoreset(budget=1, fairness="none", group_by="category").merge(banks())


def test_a_rule_may_be_given_with_arguments():
    spec = {"class_path": "proportional", "init_args": {"minimum": 4}}
    merged = FairCoreset(budget=20, fairness=spec).merge(banks()).for_category("screw")
    assert held(merged)["c"] == 4
    assert merged.coresets == {"screw": "proportional by site of example"}
