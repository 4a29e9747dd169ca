"""Random rows: radius and weights where rows are equal or all are picked, and what every coreset refuses."""

import numpy as np
import pytest
import torch

from anomalib_federated_plugins.coreset.k_center import KCenterCoreset
from anomalib_federated_plugins.coreset.random import RandomCoreset


def test_all_rows_cover_all_rows():
    features = torch.from_numpy(np.random.default_rng(0).standard_normal((1500, 7))).float()
    selection = RandomCoreset(budget=1500).select(features)
    assert selection.radius == 0
    assert selection.weights.tolist() == [1] * 1500


@pytest.mark.parametrize("budget", [1, 3, 40, 60])
def test_weights_of_equal_rows_sum_to_their_number(budget):
    features = torch.tensor([[0.0, 1.0], [2.0, 0.5], [7.0, 3.0]]).repeat(20, 1)
    selection = RandomCoreset(budget=budget).select(features, seed=3)
    assert float(selection.weights.sum()) == 60
    assert float(selection.weights.min()) >= 1


@pytest.mark.parametrize("coreset", [RandomCoreset, KCenterCoreset])
@pytest.mark.parametrize("start", [1.5, True, "2"])
def test_a_start_that_is_no_row_number_is_refused(coreset, start):
    with pytest.raises(ValueError, match=r"start is .*, which is not one of the rows"):
        coreset(budget=2).select(torch.eye(4), start=start)


@pytest.mark.parametrize("coreset", [RandomCoreset, KCenterCoreset])
def test_features_that_are_no_tensor_are_refused(coreset):
    with pytest.raises(TypeError, match="must be a torch tensor or Rows, got ndarray"):
        coreset(budget=2).select(np.eye(4))
