"""Streaming k-center: what is proven of it, checked by direct differences; blocks and threads; endless streams."""

from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalib_federated.testing.rows import BlockRows
from anomalib_federated_plugins.coreset.k_center import KCenterCoreset
from anomalib_federated_plugins.coreset.k_center_streaming import KCenterStream, KCenterStreamingCoreset

SLACK = 1 + 1e-5


def clusters(n, d, seed, *, spread=4.0):
    generator = np.random.default_rng(seed)
    centres = generator.standard_normal((7, d)) * spread
    return torch.from_numpy(centres[generator.integers(0, 7, n)] + generator.standard_normal((n, d))).float()


def distances(x, y):
    return (x.double()[:, None] - y.double()[None]).pow(2).sum(2).sqrt()


def radius_of(features, picks):
    return float(distances(features, features[picks]).min(1).values.max())


def streamed(features, *, cuts=(), radius=None, budget=10, capacity=40):
    stream = KCenterStream(budget, features.shape[1], capacity=capacity, radius=radius)
    for block in torch.tensor_split(features, sorted(cuts)):
        stream.add(block)
    return stream


def best_radius(features, k):
    """Of all choices of ``k`` rows."""
    between = distances(features, features)
    return min(float(between[:, list(picks)].min(1).values.max()) for picks in combinations(range(len(features)), k))


@settings(max_examples=50)
@given(seed=st.integers(0, 10**6), n=st.integers(7, 14), k=st.integers(1, 3), d=st.integers(1, 2))
def test_the_radius_is_within_the_proven_factor(seed, n, k, d):
    features = torch.from_numpy(np.random.default_rng(seed).integers(0, 6, (n, d))).float()
    stream = streamed(features, budget=k, capacity=2 * k)
    # The capacity is twice the budget, so both terms of the proof are of k rows.
    assert radius_of(features, stream.pick()) <= 11 * best_radius(features, k) * SLACK


@pytest.mark.parametrize("capacity", [20, 40, 200])
@pytest.mark.parametrize("spread", [0.5, 4.0, 100.0])
def test_every_row_is_within_the_bound_and_centres_lie_apart(capacity, spread):
    features = clusters(1500, 6, 0, spread=spread)
    stream = streamed(features, cuts=(100, 101, 900), capacity=capacity)
    assert 10 <= len(stream.centres) <= capacity
    assert torch.equal(stream.centres, features[stream.numbers])
    assert radius_of(features, stream.numbers) <= stream.bound * SLACK
    assert stream.bound <= 3 * stream.threshold * SLACK
    assert len(set(stream.numbers.tolist())) == len(stream.numbers)
    # Only the first, as many as the budget, may lie closer: spares, where thinning left no others.
    between = distances(stream.centres, stream.centres)[10:].masked_fill(torch.eye(len(stream.centres))[10:] > 0, 1e9)
    assert not between.numel() or float(between.min()) >= stream.threshold / SLACK


def test_a_capacity_that_holds_all_rows_gives_the_picks_of_k_center():
    features = clusters(300, 8, 1)
    found = KCenterStreamingCoreset(budget=30, oversampling=10).select(features, start=0)
    expected = KCenterCoreset(budget=30).select(features, start=0)
    assert torch.equal(found.indices.sort().values, expected.indices.sort().values)
    assert found.radius == pytest.approx(expected.radius, rel=1e-5)


def test_the_radius_is_near_that_of_k_center_and_far_from_that_of_random_rows():
    features = clusters(4000, 4, 2)
    exact = KCenterCoreset(budget=100).select(features, start=0).radius
    found = KCenterStreamingCoreset(budget=100).select(features, start=0).radius
    drawn = radius_of(features, np.random.default_rng(0).permutation(4000)[:100])
    assert exact <= found <= 1.25 * exact
    assert found < drawn


@settings(max_examples=30)
@given(cuts=st.sets(st.integers(0, 700), max_size=6), offset=st.sampled_from([0.0, 100.0]))
def test_how_the_stream_is_cut_makes_no_difference(cuts, offset):
    features = clusters(700, 5, 3) + offset
    whole, cut = streamed(features), streamed(features, cuts=cuts)
    assert torch.equal(cut.numbers, whole.numbers)
    assert torch.equal(cut.pick(), whole.pick())
    assert (cut.threshold, cut.seen) == (whole.threshold, 700)


@settings(max_examples=50)
@given(data=st.data(), n=st.integers(1, 40), d=st.integers(1, 2), radius=st.sampled_from([None, 1.5]))
def test_integer_grids_full_of_ties_and_equals(data, n, d, radius):
    values = st.lists(st.integers(0, 3), min_size=n * d, max_size=n * d)
    features = torch.tensor(data.draw(values), dtype=torch.float32).reshape(n, d)
    whole = streamed(features, budget=2, capacity=6, radius=radius)
    one_by_one = streamed(features, budget=2, capacity=6, radius=radius, cuts=range(1, n))
    assert torch.equal(whole.numbers, one_by_one.numbers)
    assert radius_of(features, whole.numbers) <= whole.bound * SLACK
    assert int(whole.pick()[0]) == int(whole.numbers[0]) == 0


def test_memory_does_not_grow_with_the_stream():
    generator = np.random.default_rng(4)
    stream = KCenterStream(20, 4, capacity=80)
    for _ in range(40):
        stream.add(torch.from_numpy(generator.standard_normal((500, 4))).float())
        assert len(stream.centres) <= 80
        assert stream.centres.untyped_storage().nbytes() <= 81 * 4 * 4
    assert (stream.seen, len(stream.pick())) == (20_000, 20)
    assert int(stream.pick().max()) >= 80


@pytest.mark.parametrize("row", [0, 333])
@pytest.mark.parametrize("radius", [None, 6.0])
def test_one_far_outlier_takes_one_centre(row, radius):
    features = clusters(600, 6, 5)
    features[row] = 1e8
    stream = streamed(features, cuts=(1, 2, 350), radius=radius)
    assert row in stream.pick()
    assert radius_of(features, stream.pick()) < 40
    assert radius_of(features, stream.numbers) <= stream.bound * SLACK


@pytest.mark.parametrize("block", [1, 64, 5000])
def test_a_target_radius_is_reached_and_no_two_picks_lie_within_it(block):
    rows = BlockRows(features := clusters(600, 4, 6), step=block)
    selection = KCenterStreamingCoreset(budget={"radius": 2.5, "rows": 500}).select(rows, start=7)
    assert selection.radius <= 2.5
    between = distances(features[selection.indices], features[selection.indices]).fill_diagonal_(9.0)
    assert float(between.min()) > 2.5 / SLACK
    assert int(selection.indices[0]) == 7
    short = KCenterStreamingCoreset(budget={"radius": 0.1, "rows": 30}).select(rows, start=7)
    assert len(short.indices) == 30
    assert short.radius > 0.1


def test_rows_are_read_once_to_pick():
    rows = BlockRows(clusters(500, 4, 7), step=50)
    KCenterStreamingCoreset(budget=20).pick(rows, seed=0, start=None)
    assert rows.passes == 1


def test_two_threads_pick_what_one_picks():
    features, before = clusters(3000, 64, 8), torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        first = streamed(features, budget=100, capacity=400)
        torch.set_num_threads(2)
        second = streamed(features, budget=100, capacity=400)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(first.numbers, second.numbers)
    assert torch.equal(first.pick(), second.pick())


def test_a_stream_before_its_first_row():
    stream = KCenterStream(3, 2, capacity=6)
    assert (stream.centres.shape, stream.pick().tolist(), stream.bound, stream.seen) == ((0, 2), [], 0.0, 0)
    stream.add(torch.empty(0, 2))
    stream.add(torch.ones(1, 2, dtype=torch.float16), numbers=torch.tensor([77]))
    assert stream.pick().tolist() == [77]


@pytest.mark.parametrize(("budget", "capacity"), [(0, 4), (3, 5), (-1, 4)])
def test_a_capacity_below_twice_the_budget_is_refused(budget, capacity):
    with pytest.raises(ValueError, match=f"capacity {capacity} cannot serve a budget of {budget}"):
        KCenterStream(budget, 3, capacity=capacity)


@pytest.mark.parametrize("block", [torch.ones(3), torch.ones(3, 4), torch.tensor([[1.0, float("nan")]])])
def test_an_unusable_block_is_refused_and_changes_nothing(block):
    stream = streamed(torch.eye(2), budget=1, capacity=2)
    with pytest.raises(ValueError, match=r"blocks must be \(m, 2\) and finite"):
        stream.add(block)
    assert (stream.seen, stream.numbers.tolist()) == (2, [0, 1])


@pytest.mark.parametrize("oversampling", [1.9, float("nan"), float("inf")])
def test_an_impossible_oversampling_is_refused(oversampling):
    with pytest.raises(ValueError, match="at least 2"):
        KCenterStreamingCoreset(budget=3, oversampling=oversampling)
