"""Covering radius, mean distance and weights against direct differences in float64."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalib_federated.selection.covering import measure_covering
from anomalib_federated.selection.rows import TensorRows
from anomalib_federated.testing.rows import BlockRows


def features(n, d, seed, offset=0.0):
    return (torch.from_numpy(np.random.default_rng(seed).standard_normal((n, d))) + offset).float()


def distances(x, y):
    return (x.double()[:, None] - y.double()[None]).pow(2).sum(2).sqrt()


@settings(max_examples=60)
@given(
    n=st.integers(1, 60),
    k=st.integers(1, 20),
    seed=st.integers(0, 10**6),
    step=st.integers(1, 60),
    offset=st.sampled_from([0.0, 100.0]),
)
def test_against_differences_in_float64(n, k, seed, step, offset):
    d = 1 + seed % 8
    x, picked = features(n, d, seed, offset), features(k, d, seed + 1, offset)
    found = measure_covering(BlockRows(x, step=step), picked)
    nearest, owner = distances(x, picked).min(1)
    assert found.radius == pytest.approx(float(nearest.max()), rel=1e-5)
    assert found.mean_distance == pytest.approx(float(nearest.mean()), rel=1e-5)
    assert torch.equal(found.weights, torch.bincount(owner, minlength=k).float())


def test_given_owners_are_used_as_they_are():
    line = torch.tensor([[0.0], [1.0], [2.0], [10.0]])
    owner = torch.tensor([0, 0, 1, 1], dtype=torch.int32)
    found = measure_covering(BlockRows(line, step=3), line[[0, 3]], owner=owner)
    assert (found.radius, found.mean_distance, found.weights.tolist()) == (8.0, 2.25, [2.0, 2.0])


def test_it_takes_one_pass_and_changes_nothing():
    x = features(30, 4, 0)
    rows = TensorRows(x)
    measure_covering(rows, x[:3].half())
    assert rows.passes == 1
    assert torch.equal(x, features(30, 4, 0))


def test_rows_far_from_the_origin_lose_no_digits():
    x = features(200, 8, 1)
    x[7] = 1e8
    owner = torch.arange(200) % 5
    owner[7] = 5
    picked = x[[0, 1, 2, 3, 4, 7]]
    expected = (x.double() - picked[owner].double()).norm(dim=1)
    found = measure_covering(TensorRows(x), picked, owner=owner)
    assert found.radius == pytest.approx(float(expected.max()), rel=1e-6)
    assert found.mean_distance == pytest.approx(float(expected.mean()), rel=1e-6)


def test_a_pick_that_is_nearest_to_none_weighs_nothing():
    x = torch.tensor([[0.0], [1.0]])
    assert measure_covering(TensorRows(x), torch.tensor([[0.0], [50.0]])).weights.tolist() == [2.0, 0.0]
