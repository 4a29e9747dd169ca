"""Lazy greedy k-center against the naive method, which looks at every row for every pick."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalib_federated_plugins.coreset import k_center
from anomalib_federated_plugins.coreset.k_center import KCenterCoreset


def naive(features, k, start):
    """In float64: the picks, the covering radius, and how many picks come before the first too close to call."""
    rows = features.double().numpy()
    picks, squared, clear = [start], ((rows - rows[start]) ** 2).sum(1), None
    while len(picks) < k:
        rest = squared.copy()
        rest[picks] = -1
        second, first = np.sort(rest)[-2:]
        if clear is None and first - second < rounding(features):
            clear = len(picks)
        picks.append(int(rest.argmax()))
        squared = np.minimum(squared, ((rows - rows[picks[-1]]) ** 2).sum(1))
    return picks, float(np.sqrt(squared.max())), clear or k


def rounding(features):
    """What float32 loses in a squared distance by a product: a few units in the last place of the largest norm."""
    rows = features.double()
    return 8 * 2**-23 * max(1.0, float((rows - rows.mean(0)).pow(2).sum(1).max()))


def nearest_counts(features, picks):
    rows = features.double()
    owner = (rows[:, None] - rows[picks][None]).norm(dim=2).argmin(1)
    return torch.bincount(owner, minlength=len(picks)).float()


def normal(n, d, seed):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((n, d))).float()


def clusters(n, d, seed, *, spread=4.0):
    generator = np.random.default_rng(seed)
    centres = generator.standard_normal((7, d)) * spread
    return torch.from_numpy(centres[generator.integers(0, 7, n)] + generator.standard_normal((n, d))).float()


def like_activations(n, d, seed):
    """Sparse, positive, far from the origin, as features after a rectifier are."""
    generator = np.random.default_rng(seed)
    return torch.from_numpy(np.maximum(generator.standard_normal((n, d)), 0) * generator.gamma(1.0, 3.0, d) + 5).float()


@pytest.mark.parametrize("make", [normal, clusters, like_activations])
@pytest.mark.parametrize(("n", "d", "k", "start"), [(400, 16, 60, 3), (900, 12, 300, 0), (50, 8, 50, 49)])
def test_picks_are_those_of_the_naive_method(make, n, d, k, start):
    features = make(n, d, 0)
    picks, radius, clear = naive(features, k, start)
    selection = KCenterCoreset(budget=k).select(features, start=start)
    assert clear >= 40
    assert selection.indices.tolist()[:clear] == picks[:clear]
    assert selection.radius == pytest.approx(radius, rel=1e-3, abs=1e-3)
    assert torch.equal(selection.weights, nearest_counts(features, selection.indices))


@pytest.mark.parametrize("pool", [2, 7, 64])
@pytest.mark.parametrize("make", [normal, clusters, like_activations])
def test_the_size_of_the_pool_changes_nothing(monkeypatch, make, pool):
    features = make(700, 8, 1)
    expected = KCenterCoreset(budget=200).select(features, start=0)
    monkeypatch.setattr(k_center, "POOL", pool)
    found = KCenterCoreset(budget=200).select(features, start=0)
    picks, _, clear = naive(features, 200, 0)
    assert clear >= 40
    assert found.indices.tolist()[:clear] == expected.indices.tolist()[:clear] == picks[:clear]
    assert found.radius == pytest.approx(expected.radius, rel=1e-3)


def assert_greedy(features, k, start, pool):
    """Where rows are as far as each other, greedy has a choice; every pick must be a farthest row of those left."""
    rows = features.double()
    k_center.POOL, before = pool, k_center.POOL
    try:
        selection = KCenterCoreset(budget=k).select(features, start=start)
    finally:
        k_center.POOL = before
    picks = selection.indices.tolist()
    assert picks[0] == start
    assert len(set(picks)) == len(picks) == min(k, len(rows))
    slack = rounding(features)
    squared = (rows - rows[start]).pow(2).sum(1)
    for pick in picks[1:]:
        assert float(squared[pick]) >= float(squared.max()) - slack
        squared = torch.minimum(squared, (rows - rows[pick]).pow(2).sum(1))
    assert selection.radius**2 == pytest.approx(float(squared.max()), abs=slack)
    assert float(selection.weights.sum()) == len(rows)
    assert float(selection.weights.min()) >= 1


@settings(max_examples=80, deadline=None)
@given(data=st.data(), n=st.integers(1, 60), d=st.integers(1, 3), pool=st.sampled_from([1, 2, 5, 512]))
def test_ties_on_integer_grids(data, n, d, pool):
    values = st.lists(st.integers(0, 4), min_size=n * d, max_size=n * d)
    features = torch.tensor(data.draw(values), dtype=torch.float32).reshape(n, d)
    k, start = data.draw(st.integers(1, n)), data.draw(st.integers(0, n - 1))
    assert_greedy(features, k, start, pool)


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 200), st.integers(1, 12)),
    share=st.floats(0.01, 1.0),
    spread=st.sampled_from([0.0, 4.0, 100.0]),
    pool=st.sampled_from([2, 20, 512]),
    seed=st.integers(0, 10**6),
)
def test_every_pick_is_a_farthest_row(shape, share, spread, pool, seed):
    features = clusters(*shape, seed, spread=spread)
    assert_greedy(features, max(1, int(share * len(features))), seed % len(features), pool)


@pytest.mark.parametrize("pool", [1, 3, 512])
@pytest.mark.parametrize(
    "features",
    [
        pytest.param(torch.arange(30.0)[:, None], id="collinear"),
        pytest.param(torch.arange(8.0).repeat_interleave(5)[:, None], id="duplicates"),
        pytest.param(torch.full((25, 3), 7.5), id="all-equal"),
        pytest.param(torch.eye(20), id="simplex"),
        pytest.param(torch.cartesian_prod(torch.arange(6.0), torch.arange(6.0)), id="grid"),
    ],
)
def test_adversarial_inputs(features, pool):
    for k in range(1, len(features) + 1):
        assert_greedy(features, k, 0, pool)


def test_the_radius_at_every_budget():
    """Rows 1, 2, 4 ... 64 and 0, from 0: greedy takes the ends, and the middle whose gap is largest; by hand."""
    line = torch.tensor([0.0, 1, 2, 4, 8, 16, 32, 64])[:, None]
    radii = [KCenterCoreset(budget=k).select(line, start=0).radius for k in range(1, 9)]
    assert radii == pytest.approx([64, 32, 16, 8, 4, 2, 1, 0], abs=1e-3)
    assert KCenterCoreset(budget=8).select(line, start=0).indices.tolist() == [0, 7, 6, 5, 4, 3, 2, 1]


def test_a_larger_budget_only_adds_picks():
    features = like_activations(500, 12, 3)
    most = KCenterCoreset(budget=120).select(features, seed=4).indices
    for k in (1, 2, 30, 119):
        assert torch.equal(KCenterCoreset(budget=k).select(features, seed=4).indices, most[:k])


def test_a_common_offset_changes_no_pick():
    features = normal(300, 8, 5)
    expected = KCenterCoreset(budget=50).select(features, start=0).indices
    assert torch.equal(KCenterCoreset(budget=50).select(features + 100, start=0).indices, expected)


def test_the_seed_decides_the_first_row():
    features = normal(200, 4, 6)
    firsts = {int(KCenterCoreset(budget=1).select(features, seed=seed).indices[0]) for seed in range(20)}
    assert len(firsts) > 10
