"""Merge-able k-center: when it stops, what it tells, and what the union of sites' picks promises."""

import logging
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalib_federated_plugins.coreset.k_center import KCenterCoreset
from anomalib_federated_plugins.coreset.k_center_mergeable import KCenterMergeableCoreset


def normal(n, d, seed):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((n, d))).float()


def distances(x, y):
    return (x.double()[:, None] - y.double()[None]).pow(2).sum(2).sqrt()


@pytest.mark.parametrize("epsilon", [0.5, 1.0, 1.6])
def test_it_stops_at_the_first_greedy_pick_that_reaches_epsilon(epsilon):
    features = normal(800, 4, 0)
    found = KCenterMergeableCoreset(budget=700, final_rows=20, epsilon=epsilon).select(features, start=0)
    picked = len(found.indices)
    greedy = {k: KCenterCoreset(budget=k).select(features, start=0) for k in (20, picked - 1, picked)}
    assert torch.equal(found.indices, greedy[picked].indices)
    assert found.radius <= epsilon / 2 * greedy[20].radius < greedy[picked - 1].radius


def test_a_budget_above_all_rows_still_ends_at_epsilon():
    features = normal(800, 4, 0)
    found = KCenterMergeableCoreset(budget=5000, final_rows=20, epsilon=1.0).select(features, start=0)
    enough = KCenterMergeableCoreset(budget=700, final_rows=20, epsilon=1.0).select(features, start=0)
    assert torch.equal(found.indices, enough.indices)


def test_epsilon_2_is_the_plain_coreset():
    features = normal(300, 4, 1)
    found = KCenterMergeableCoreset(budget=200, final_rows=30, epsilon=2.0).select(features, start=0)
    assert torch.equal(found.indices, KCenterCoreset(budget=30).select(features, start=0).indices)


@settings(max_examples=40)
@given(seed=st.integers(0, 10**6), k=st.integers(1, 2), epsilon=st.sampled_from([0.5, 1.0, 2.0]))
def test_greedy_over_the_union_is_within_the_proven_factor(seed, k, epsilon):
    generator = np.random.default_rng(seed)
    sites = [torch.from_numpy(generator.integers(0, 9, (6, 2)) + 5.0 * shift).float() for shift in range(3)]
    coreset = KCenterMergeableCoreset(budget=5, final_rows=k, epsilon=epsilon)
    selections = [coreset.select(site, seed=seed) for site in sites]
    union = torch.cat([site[found.indices] for site, found in zip(sites, selections, strict=True)])
    rows = torch.cat(sites)
    best = min(float(distances(rows, rows[list(at)]).amin(1).max()) for at in combinations(range(18), k))
    merged = union[KCenterCoreset(budget=k).select(union, start=0).indices]
    if all(len(found.indices) < 5 for found in selections):  # no budget ran out
        assert float(distances(rows, merged).amin(1).max()) <= (2 + epsilon) * best * (1 + 1e-5)


def test_the_log_tells_the_epsilon_that_was_reached(caplog):
    line = torch.arange(65.0)[:, None]
    with caplog.at_level(logging.INFO):
        KCenterMergeableCoreset(budget=40, final_rows=2, epsilon=0.25).select(line, start=0)
    # The ends cover within 32, 9 picks within 4.
    assert "9 picks reach epsilon 0.25: " in caplog.text
    assert "ran out" not in caplog.text
    caplog.clear()
    with caplog.at_level(logging.INFO):
        KCenterMergeableCoreset(budget=5, final_rows=2, epsilon=0.25).select(line, start=0)
    assert "5 picks reach epsilon 0.5: " in caplog.text
    assert "within 2.5 times the best radius" in caplog.text
    assert "budget of 5 rows ran out before epsilon 0.25" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.INFO):
        KCenterMergeableCoreset(budget=5).select(line, start=0)
    assert "5 picks, fewer than the final 10000 rows" in caplog.text


@pytest.mark.parametrize("final_rows", [3, 400])
def test_a_target_radius_stops_it_before_epsilon(final_rows):
    features = normal(500, 3, 2)
    found = KCenterMergeableCoreset(budget={"radius": 1.5}, final_rows=final_rows, epsilon=0.01).select(features)
    assert torch.equal(found.indices, KCenterCoreset(budget={"radius": 1.5}).select(features).indices)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"final_rows": 0}, "final_rows is 0"),
        ({"final_rows": 1.5}, "final_rows is 1.5"),
        ({"final_rows": True}, "final_rows is True"),
        ({"epsilon": 0.0}, "epsilon is 0.0"),
        ({"epsilon": 2.5}, "epsilon is 2.5"),
        ({"epsilon": float("nan")}, "epsilon is nan"),
    ],
)
def test_impossible_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        KCenterMergeableCoreset(budget=5, **arguments)
