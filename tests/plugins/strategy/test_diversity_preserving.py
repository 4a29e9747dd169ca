"""A minimum for every site, and greedy k-center for the rest: against the naive method and against all choices."""

from dataclasses import replace
from itertools import combinations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalib_federated.bank import MemoryBank
from anomalib_federated.testing import example_bank
from anomalib_federated_plugins.coreset.k_center import KCenterCoreset
from anomalib_federated_plugins.strategy.diversity_preserving import DiversityPreserving
from anomalib_federated_plugins.strategy.federated_coreset import FederatedCoreset


def banks():
    """Nuts at a only; c is small."""
    screws, nuts = example_bank(rows=60, site="a", seed=1), example_bank(rows=5, site="a", category="nut", seed=5)
    return [
        MemoryBank.merge([screws, nuts]),
        example_bank(rows=40, site="b", seed=2),
        example_bank(rows=4, site="c", seed=3, offset=1.0),
    ]


def amid():
    """A site that is wide, and one that k-center has no reason to keep."""
    wide, narrow = example_bank(rows=60, site="a", seed=1), example_bank(rows=40, site="b", seed=2)
    return [wide, replace(narrow, features=narrow.features * 0.01)]


def held(bank):
    return {site: int((bank.row_site == number).sum()) for number, site in enumerate(bank.sites)}


@pytest.mark.parametrize("minimum_share", [0.1, 0.34, 0.5, 1.0, 1])
@pytest.mark.parametrize("budget", [3, 10, 31, 90])
def test_every_site_keeps_its_minimum(budget, minimum_share):
    merged = DiversityPreserving(budget=budget, minimum_share=minimum_share).merge(banks()).for_category("screw")
    assert len(merged) == budget
    rows = held(merged)
    for site, sent in {"a": 60, "b": 40, "c": 4}.items():
        assert rows[site] >= min(sent, max(1, int(minimum_share * (budget // 3) + 1e-9)))


def test_a_site_that_k_center_forgets_is_kept():
    assert held(FederatedCoreset(budget=20).merge(amid()))["b"] <= 1
    assert held(DiversityPreserving(budget=20, minimum_share=0.6).merge(amid()))["b"] >= 6
    assert held(DiversityPreserving(budget=20, minimum_share=1.0).merge(amid())) == {"a": 10, "b": 10}


def naive(rows, picks, k):
    """Greedy k-center in float64, by looking at every row for every pick."""
    picks, distances = list(picks), torch.cdist(rows, rows[picks]).amin(1)
    while len(picks) < k:
        picks.append(int(distances.argmax()))
        distances = torch.minimum(distances, (rows - rows[picks[-1]]).norm(dim=1))
    return picks


@pytest.mark.parametrize(
    ("budget", "minimum_share", "least"), [(30, 0.5, 5), (30, 1.0, 10), (17, 0.25, 1), (3, 0.1, 1)]
)
def test_rows_are_each_sites_coreset_and_then_those_of_the_naive_method(budget, minimum_share, least):
    union = MemoryBank.merge(bank.for_category("screw") for bank in banks())
    sure = []
    for number in range(3):
        own = (union.row_site == number).nonzero().flatten()
        sure += own[KCenterCoreset(budget=least).select(union.features[own], seed=7).indices].tolist()
    expected = naive(union.features.double(), sure, budget)
    merged = DiversityPreserving(budget=budget, minimum_share=minimum_share, seed=7).merge(banks())
    assert torch.equal(merged.for_category("screw").features, union.features[expected])


@settings(max_examples=30)
@given(sizes=st.lists(st.integers(1, 5), min_size=1, max_size=3), free=st.integers(1, 3), seed=st.integers(0, 999))
def test_all_rows_are_within_twice_the_best_radius_of_the_rows_that_are_not_promised(sizes, free, seed):
    sent = [example_bank(rows=n, dim=2, site=f"s{i}", seed=seed + i, offset=i) for i, n in enumerate(sizes)]
    rows = MemoryBank.merge(sent).features.double()
    budget = min(len(sizes) + free, len(rows))  # one sure row for each site
    merged = DiversityPreserving(budget=budget, minimum_share=1e-9, seed=seed).merge(sent)
    if (left := budget - len(sizes)) == 0:
        return
    between = torch.cdist(rows, rows)
    best = min(float(between[:, list(choice)].amin(1).max()) for choice in combinations(range(len(rows)), left))
    assert float(torch.cdist(rows, merged.features.double()).amin(1).max()) <= 2 * best + 1e-4


def test_dropped_rows_leave_their_weight_to_the_nearest_row_kept():
    sent = MemoryBank.merge(banks()).for_category("screw")
    merged = DiversityPreserving(budget=12).merge(banks()).for_category("screw")
    owner = (sent.features[:, None].double() - merged.features[None].double()).norm(dim=2).argmin(1)
    expected = torch.zeros(12, dtype=torch.float64).index_add_(0, owner, sent.weights.double())
    assert torch.equal(merged.weights.double(), expected)


@pytest.mark.parametrize("minimum_share", [0.2, 1.0])
def test_one_site_gives_its_own_coreset(minimum_share):
    """Greedy k-center that goes on from its own first picks makes the same picks."""
    bank = example_bank(rows=50, seed=6)
    alone = DiversityPreserving(budget=20, minimum_share=minimum_share, seed=3).merge([bank])
    plain = FederatedCoreset(budget=20, seed=3).merge([bank])
    assert torch.equal(alone.features, plain.features)
    assert torch.equal(alone.weights, plain.weights)


def test_a_target_radius_needs_no_row_more_than_it_takes():
    merged = DiversityPreserving(budget={"radius": 2.5, "rows": 100}).merge(banks()).for_category("screw")
    rows = MemoryBank.merge(banks()).for_category("screw").features
    assert len(merged) < 100
    assert float(torch.cdist(rows, merged.features).amin(1).max()) <= 2.5 + 1e-4


def test_impossible_settings_are_refused():
    for minimum_share in (0, 0.0, 1.01, -1, True, float("nan"), "half"):
        with pytest.raises(ValueError, match=r"minimum_share is .*; give a number in \(0, 1\]"):
            DiversityPreserving(minimum_share=minimum_share)
    with pytest.raises(ValueError, match="2 rows cannot give each of 3 sites a row"):
        DiversityPreserving(budget=2).merge(banks())
