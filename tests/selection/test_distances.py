"""Distances by a matrix product against direct differences in float64."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalib_federated.selection import distances


def direct(x, y):
    return (x.double()[:, None] - y.double()[None]).pow(2).sum(2).sqrt()


def features(n, d, seed, *, scale=1.0, offset=0.0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) * scale + offset


SIZES = st.tuples(st.integers(1, 40), st.integers(1, 30), st.integers(1, 20), st.integers(0, 10**6))


@settings(max_examples=50, deadline=None)
@given(SIZES)
def test_squared_distances(sizes):
    n, m, d, seed = sizes
    x, y = features(n, d, seed), features(m, d, seed + 1)
    found = distances.squared_distances(x, y)
    assert found.shape == (n, m)
    torch.testing.assert_close(found.double(), direct(x, y) ** 2, rtol=1e-4, atol=1e-4)


def test_squared_distances_are_never_negative():
    x = features(50, 30, 0, offset=100.0)
    assert float(distances.squared_distances(x, x).min()) >= 0


@settings(max_examples=50, deadline=None)
@given(SIZES, st.sampled_from([torch.float32, torch.float16, torch.float64]))
def test_nearest(sizes, dtype):
    n, m, d, seed = sizes
    x, y = features(n, d, seed).to(dtype), features(m, d, seed + 1).to(dtype)
    found, index = distances.nearest(x, y)
    assert (found.dtype, index.dtype, found.shape, index.shape) == (torch.float32, torch.int64, (n,), (n,))
    expected = direct(x, y)
    torch.testing.assert_close(found.double(), expected.min(1).values, rtol=1e-4, atol=2e-3)
    # The row named is a nearest one, up to rounding.
    named = expected.gather(1, index[:, None]).squeeze(1)
    torch.testing.assert_close(named, expected.min(1).values, rtol=1e-4, atol=2e-3)


@pytest.mark.parametrize("offset", [0.0, 50.0, -1000.0])
def test_a_common_offset_costs_no_accuracy(offset):
    x, y = features(60, 16, 1, offset=offset), features(20, 16, 2, offset=offset)
    found, index = distances.nearest(x, y)
    expected = direct(x, y)
    torch.testing.assert_close(found.double(), expected.min(1).values, rtol=1e-4, atol=1e-4)
    assert torch.equal(index, expected.argmin(1))


@pytest.mark.parametrize("elements", [1, 7, 60, 1 << 20])
def test_the_size_of_chunks_changes_nothing(monkeypatch, elements):
    x, y = features(50, 8, 1), features(6, 8, 2)
    expected, index = direct(x, y).min(1)
    monkeypatch.setattr(distances, "CHUNK_ELEMENTS", elements)
    found = distances.nearest(x, y)
    torch.testing.assert_close(found[0].double(), expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(found[1], index)


def test_chunks_cover_every_row_once(monkeypatch):
    monkeypatch.setattr(distances, "CHUNK_ELEMENTS", 12)
    x, rows = features(11, 4, 0), features(3, 4, 1)
    chunks = [chunk for chunk, _, _ in distances.nearest_in_chunks(x, x.pow(2).sum(1), rows)]
    covered = [i for chunk in chunks for i in range(len(x))[chunk]]
    assert len(chunks) == 3
    assert covered == list(range(11))


def test_the_first_of_equal_rows_is_named():
    rows = torch.tensor([[5.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    assert distances.nearest(torch.tensor([[0.0, 0.0], [9.0, 0.0]]), rows)[1].tolist() == [1, 0]


def test_covering_radius():
    x, rows = torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]]), torch.tensor([[0.0, 0.0], [0.0, 1.0]])
    assert distances.covering_radius(x, rows) == pytest.approx(18**0.5, rel=1e-6)
    assert distances.covering_radius(rows, rows) == pytest.approx(0, abs=1e-6)
    assert isinstance(distances.covering_radius(x, rows), float)


def test_inputs_stay_unchanged():
    x, y = features(9, 4, 0), features(3, 4, 1)
    before = x.clone(), y.clone()
    distances.nearest(x, y)
    distances.squared_distances(x, y)
    assert torch.equal(x, before[0])
    assert torch.equal(y, before[1])
