"""Lazy greedy k-center against the naive method, which looks at every row for every pick."""

from contextlib import contextmanager

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalib_federated.selection import greedy_state, lazy_greedy
from anomalib_federated.selection.lazy_greedy import LazyGreedy
from anomalib_federated.selection.rows import TensorRows
from anomalib_federated.testing.rows import BlockRows
from anomalib_federated_plugins.coreset.k_center import KCenterCoreset


def naive(features, k, *first):
    """In float64: the picks, the radius after each, and how many picks come before the first too close to call."""
    rows = features.double().numpy()
    picks, clear = list(first), None
    squared = ((rows[:, None] - rows[picks]) ** 2).sum(2).min(1)
    radii = [float(np.sqrt(squared.max()))]
    while len(picks) < k:
        rest = squared.copy()
        rest[picks] = -1
        second, first = np.sort(rest)[-2:]
        if clear is None and first - second < rounding(features):
            clear = len(picks)
        picks.append(int(rest.argmax()))
        squared = np.minimum(squared, ((rows - rows[picks[-1]]) ** 2).sum(1))
        radii.append(float(np.sqrt(squared.max())))
    return picks, radii, clear or k


def rounding(features):
    """What float32 loses in a squared distance by a product: a few units in the last place of a typical norm."""
    rows = features.double()
    return 16 * 2**-23 * max(1.0, float((rows - rows.median(0).values).pow(2).sum(1).quantile(0.99)))


@contextmanager
def pool_of(size):
    before = lazy_greedy.SMALLEST_POOL, lazy_greedy.LARGEST_POOL
    lazy_greedy.SMALLEST_POOL, lazy_greedy.LARGEST_POOL = size, size
    try:
        yield
    finally:
        lazy_greedy.SMALLEST_POOL, lazy_greedy.LARGEST_POOL = before


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
@pytest.mark.parametrize(("n", "d", "k", "start"), [(400, 16, 60, 3), (900, 12, 300, 0), (50, 8, 49, 49)])
def test_picks_are_those_of_the_naive_method(make, n, d, k, start):
    features = make(n, d, 0)
    picks, radii, clear = naive(features, k, start)
    selection = KCenterCoreset(budget=k).select(features, start=start)
    assert clear >= 40
    assert selection.indices.tolist()[:clear] == picks[:clear]
    assert selection.radius == pytest.approx(radii[-1], rel=1e-3, abs=1e-3)
    assert torch.equal(selection.weights, nearest_counts(features, selection.indices))


@pytest.mark.parametrize("pool", [1, 2, 7, 64])
@pytest.mark.parametrize("make", [normal, clusters, like_activations])
def test_the_size_of_the_pool_changes_nothing(make, pool):
    features = make(700, 8, 1)
    expected = KCenterCoreset(budget=200).select(features, start=0)
    with pool_of(pool):
        found = KCenterCoreset(budget=200).select(features, start=0)
    picks, _, clear = naive(features, 200, 0)
    assert clear >= 40
    assert found.passes > expected.passes
    assert found.indices.tolist()[:clear] == expected.indices.tolist()[:clear] == picks[:clear]
    assert found.radius == pytest.approx(expected.radius, rel=1e-3)


def assert_greedy(features, k, start, pool):
    """Where rows are as far as each other, greedy has a choice; every pick must be a farthest row of those left."""
    rows = features.double()
    with pool_of(pool):
        selection = KCenterCoreset(budget=k).select(features, start=start)
    picks = selection.indices.tolist()
    assert picks[0] == start
    assert len(set(picks)) == len(picks) == min(k, len(rows))
    if k == len(rows):  # all are kept, in their order
        assert picks == [start, *(row for row in range(k) if row != start)]
        return
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


@pytest.mark.parametrize("pool", [8, 512])
@pytest.mark.parametrize("outlier", [1e4, 1e8])
@pytest.mark.parametrize("start", [0, 333])
def test_one_far_outlier_spoils_no_other_pick(outlier, start, pool):
    features = clusters(600, 8, 2)
    features[333] = outlier
    with pool_of(pool):
        selection = KCenterCoreset(budget=150).select(features, start=start)
    # Seen from the outlier all rows are equally far in float32, so the second pick is open if the outlier is the first.
    assert 333 in selection.indices[:2]
    picks, radii, clear = naive(features, 150, *selection.indices[:2].tolist())
    assert clear >= 40
    assert selection.indices.tolist()[:clear] == picks[:clear]
    assert selection.radius == pytest.approx(radii[-1], rel=1e-3)
    assert torch.equal(selection.weights, nearest_counts(features, selection.indices))


def test_a_single_row():
    selection = KCenterCoreset(budget={"radius": 0.5}).select(torch.ones(1, 3))
    assert (selection.indices.tolist(), selection.radius, selection.weights.tolist()) == ([0], 0.0, [1.0])


@pytest.mark.parametrize("pool", [4, 512])
@pytest.mark.parametrize("make", [normal, clusters])
def test_a_target_radius_takes_the_fewest_greedy_picks(make, pool):
    features = make(500, 6, 7)
    _, radii, _ = naive(features, 120, 5)
    for k in (1, 2, 17, 100):
        # Between the radii of k and fewer picks; the next k may have the same radius, so the fewest is looked up.
        target = (radii[k - 1] + radii[k]) / 2
        fewest = next(count for count, radius in enumerate(radii, start=1) if radius <= target)
        with pool_of(pool):
            selection = KCenterCoreset(budget={"radius": target}).select(features, start=5)
            capped = KCenterCoreset(budget={"radius": target, "rows": fewest - 1}).select(features, start=5)
        assert len(selection.indices) == fewest
        assert selection.radius <= target < radii[fewest - 2]
        assert capped.indices.tolist() == selection.indices.tolist()[:-1]
        assert capped.radius > target


class Stored(BlockRows):
    """Rows with a file for the state, that fail after some passes."""

    def __init__(self, features, state, *, passes=10**9):
        super().__init__(features, step=100)
        self._state, self._most = state, passes

    @property
    def state(self):
        return self._state

    def blocks(self):
        for number, block in enumerate(super().blocks()):
            if self.passes == self._most and number == 2:
                msg = "the power failed"
                raise OSError(msg)
            yield block


@pytest.mark.parametrize("passes", [3, 6, 11])
def test_an_interrupted_selection_goes_on_and_ends_the_same(monkeypatch, tmp_path, passes):
    monkeypatch.setattr(greedy_state, "SECONDS_BETWEEN", 0.0)
    features = like_activations(700, 8, 4)
    with pool_of(16):
        unbroken = LazyGreedy(BlockRows(features, step=100), start=3)
        unbroken.grow(200)
        with pytest.raises(OSError, match="power"):
            LazyGreedy(Stored(features, tmp_path / "state", passes=passes), start=3).grow(200)
        resumed = LazyGreedy(Stored(features, tmp_path / "state"), start=3)
        assert 1 < len(resumed.indices) < 200
        resumed.grow(200)
    for name in ("indices", "owner", "squared"):
        assert torch.equal(getattr(resumed, name), getattr(unbroken, name)), name


def test_a_state_of_another_selection_is_not_used(monkeypatch, tmp_path):
    monkeypatch.setattr(greedy_state, "SECONDS_BETWEEN", 0.0)
    features, state = normal(300, 4, 8), tmp_path / "state"
    with pool_of(16):
        LazyGreedy(Stored(features, state), start=3).grow(60)
        assert len(LazyGreedy(Stored(features, state), start=3).indices) == 60
        assert LazyGreedy(Stored(features, state), start=4).indices.tolist() == [4]
        assert LazyGreedy(Stored(features[:200], state), start=3).indices.tolist() == [3]
        state.write_bytes(state.read_bytes()[:100])
        assert LazyGreedy(Stored(features, state), start=3).indices.tolist() == [3]


@pytest.mark.parametrize("count", [1, 2, 25])
def test_it_goes_on_from_several_rows_as_the_naive_method_does(count):
    features, start = (
        like_activations(500, 8, 2),
        torch.randperm(500, generator=torch.Generator().manual_seed(1))[:count],
    )
    greedy = LazyGreedy(TensorRows(features), start=start)
    greedy.grow(count + 60)
    picks, radii, clear = naive(features, count + 60, *start.tolist())
    assert clear >= count + 40
    assert greedy.indices.tolist()[:clear] == picks[:clear]
    assert greedy.heights[:count].isinf().all()
    for k in (count, count + 1, count + 30):
        assert greedy.radius_after(k) == pytest.approx(radii[k - count], rel=1e-4)


def test_the_radius_at_every_budget():
    """Rows 1, 2, 4 ... 64 and 0, from 0: greedy takes the ends, and the middle whose gap is largest; by hand."""
    line = torch.tensor([0.0, 1, 2, 4, 8, 16, 32, 64])[:, None]
    radii = [KCenterCoreset(budget=k).select(line, start=0).radius for k in range(1, 9)]
    assert radii == [64, 32, 16, 8, 4, 2, 1, 0]
    assert KCenterCoreset(budget=7).select(line, start=0).indices.tolist() == [0, 7, 6, 5, 4, 3, 2]


def test_a_larger_budget_only_adds_picks():
    features = like_activations(500, 12, 3)
    most = KCenterCoreset(budget=120).select(features, seed=4).indices
    for k in (1, 2, 30, 119):
        assert torch.equal(KCenterCoreset(budget=k).select(features, seed=4).indices, most[:k])


@pytest.mark.parametrize("offset", [100.0, -3000.0])
def test_a_common_offset_changes_no_pick(offset):
    features = normal(300, 8, 5) + offset
    picks, radii, clear = naive(features, 50, 0)
    selection = KCenterCoreset(budget=50).select(features, start=0)
    assert clear >= 40
    assert selection.indices.tolist()[:clear] == picks[:clear]
    assert selection.radius == pytest.approx(radii[-1], rel=1e-4)


def test_the_seed_decides_the_first_row():
    features = normal(200, 4, 6)
    firsts = {int(KCenterCoreset(budget=1).select(features, seed=seed).indices[0]) for seed in range(20)}
    assert len(firsts) > 10
