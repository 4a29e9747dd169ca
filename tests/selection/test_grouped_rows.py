"""Some of the rows, and how well picks cover groups of rows: against indexing and scipy."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from anomalib_federated.selection.group_covering import measure_groups
from anomalib_federated.selection.joined_rows import JoinedRows
from anomalib_federated.selection.rows import TensorRows
from anomalib_federated.selection.subset_rows import SubsetRows
from anomalib_federated.testing.rows import BlockRows


@pytest.mark.parametrize("make", [TensorRows, lambda features: BlockRows(features, step=3)], ids=["tensor", "blocks"])
def test_a_subset_reads_as_indexing_does(make):
    features, indices = torch.randn(20, 4), torch.tensor([19, 0, 7, 7, 3])
    subset = SubsetRows(make(features), indices)
    assert subset.shape == (5, 4)
    assert torch.equal(torch.cat([block for _, block in subset.blocks()]), features[indices])
    assert torch.equal(subset.read(slice(1, 3)), features[[0, 7]])
    assert torch.equal(subset.take(torch.tensor([4, 0])), features[[3, 19]])
    assert (subset.where(0), subset.passes, subset.state) == ("row 19", 1, None)


def test_a_subset_of_joined_rows_says_where_its_rows_are():
    joined = JoinedRows(TensorRows(torch.zeros(3, 2)), TensorRows(torch.ones(3, 2)))
    subset = SubsetRows(joined, torch.tensor([5, 1]))
    assert subset.take(torch.tensor([0, 1])).tolist() == [[1.0, 1.0], [0.0, 0.0]]
    assert subset.where(0) == "row 2"


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 60),
    groups=st.integers(1, 5),
    k=st.integers(1, 8),
    step=st.integers(1, 60),
    seed=st.integers(0, 99),
)
def test_radii_are_those_of_scipy(n, groups, k, step, seed):
    generator = np.random.default_rng(seed)
    features = torch.from_numpy(generator.standard_normal((n, 3))).float()
    group = torch.unique(torch.from_numpy(generator.integers(0, groups, n)), return_inverse=True)[1]
    picks = torch.from_numpy(generator.integers(0, n, k))
    found = measure_groups(BlockRows(features, step=step), group, features[picks], group[picks])
    between = cdist(features.double().numpy(), features[picks].double().numpy())
    foreign = (group[:, None] != group[picks][None]).numpy()
    own = np.where(foreign, np.inf, between)
    for number in range(int(group.max()) + 1):
        members = (group == number).numpy()
        assert float(found.radius[number]) == pytest.approx(between[members].min(1).max(), abs=1e-6)
        assert float(found.own_radius[number]) == pytest.approx(own[members].min(1).max(), abs=1e-6)
