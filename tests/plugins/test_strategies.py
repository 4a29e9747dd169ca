"""What the first-party strategies promise beyond what every strategy does."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalib_federated.bank import MemoryBank
from anomalib_federated.registry import PluginError
from anomalib_federated.testing import example_bank
from anomalib_federated_plugins.strategy.concatenate import Concatenate
from anomalib_federated_plugins.strategy.federated_coreset import FederatedCoreset


def banks():
    """Site a far from site b in screws; nuts at b only."""
    both = [
        example_bank(rows=20, site="b", seed=2, offset=50.0),
        example_bank(rows=6, site="b", category="nut", seed=3),
    ]
    return [example_bank(rows=30, site="a", seed=1), MemoryBank.merge(both)]


def weight_of(bank, category):
    return float(bank.for_category(category).weights.sum())


def test_concatenate_keeps_every_row():
    merged = Concatenate().merge(reversed(banks()))
    expected = MemoryBank.merge(banks())
    assert merged.to_bytes() == expected.to_bytes()
    assert len(merged) == 56


@pytest.mark.parametrize(("budget", "screws", "nuts"), [(10, 10, 6), (1, 1, 1), (0.5, 25, 3), (1000, 50, 6)])
def test_the_budget_is_per_category(budget, screws, nuts):
    merged = FederatedCoreset(budget=budget).merge(banks())
    assert len(merged.for_category("screw")) == screws
    assert len(merged.for_category("nut")) == nuts


@pytest.mark.parametrize("budget", [1, 2, 7, 50])
def test_kept_rows_stand_for_those_dropped(budget):
    merged = FederatedCoreset(budget=budget).merge(banks())
    for category in ("screw", "nut"):
        sent = weight_of(MemoryBank.merge(banks()), category)
        assert weight_of(merged, category) == pytest.approx(sent, rel=1e-6)


def test_two_far_sites_are_both_represented_with_their_own_weights():
    sent = banks()
    merged = FederatedCoreset(budget=2).merge(sent).for_category("screw")
    assert {merged.sites[i] for i in merged.row_site.tolist()} == {"a", "b"}
    for row in range(2):
        site = merged.sites[int(merged.row_site[row])]
        origin = next(bank for bank in sent if bank.sites == (site,)).for_category("screw")
        assert float(merged.weights[row]) == float(origin.weights.sum())


@settings(max_examples=25, deadline=None)
@given(rows=st.lists(st.integers(1, 25), min_size=1, max_size=4), budget=st.integers(1, 40), seed=st.integers(0, 999))
def test_the_greedy_radius_is_at_most_twice_that_of_any_choice(rows, budget, seed):
    """Gonzalez: k-center covers the union within twice the best; here against as many random choices as there are."""
    sent = [example_bank(rows=n, site=f"s{i}", seed=seed + i, offset=i) for i, n in enumerate(rows)]
    union = MemoryBank.merge(sent).features.double()
    merged = FederatedCoreset(budget=budget, seed=seed).merge(sent).features.double()

    def radius(chosen):
        return float((union[:, None] - chosen[None]).norm(dim=2).amin(1).max())

    generator = torch.Generator().manual_seed(seed)
    choices = [union[torch.randperm(len(union), generator=generator)[:budget]] for _ in range(10)]
    assert radius(merged) <= 2 * min(map(radius, choices)) + 1e-3


def test_equal_rows_keep_positive_weights():
    bank = example_bank(rows=8)
    same = replace(bank, features=torch.ones(8, 8))
    merged = FederatedCoreset(budget=5).merge([same])
    assert len(merged) == 5
    assert float(merged.weights.min()) > 0
    assert float(merged.weights.sum()) >= float(same.weights.sum())


def test_the_record_names_both_methods():
    merged = FederatedCoreset(budget=3, coreset={"class_path": "random"}).merge(banks())
    assert merged.coresets == {"nut": "random of example", "screw": "random of example"}
    assert merged.covering_radius == {}
    assert {(item.site, item.category) for item in merged.contributions} == {
        ("a", "screw"),
        ("b", "screw"),
        ("b", "nut"),
    }


def test_weights_add_up_even_where_kept_rows_are_equal():
    bank = example_bank(rows=6)
    bank = replace(bank, features=bank.features[:1].repeat(6, 1))
    merged = FederatedCoreset(budget=3).merge([bank])
    assert len(merged) == 3
    assert weight_of(merged, "screw") == pytest.approx(float(bank.weights.sum()))


def test_half_precision_banks_stay_so():
    merged = FederatedCoreset(budget=3).merge([bank.to(torch.float16) for bank in banks()])
    assert merged.features.dtype == torch.float16


def test_the_seed_reaches_the_coreset():
    picks = {FederatedCoreset(budget=1, seed=seed).merge(banks()).features[0].numpy().tobytes() for seed in range(9)}
    assert len(picks) > 3


def test_a_coreset_that_does_not_exist_or_a_budget_given_twice_is_refused():
    with pytest.raises(PluginError, match="Did you mean 'k_center'"):
        FederatedCoreset(coreset="kcenter")
    with pytest.raises(PluginError, match="gets budget twice"):
        FederatedCoreset(coreset={"class_path": "k_center", "init_args": {"budget": 3}})
    with pytest.raises(ValueError, match="budget is 0"):
        FederatedCoreset(budget=0)
