"""What the checks of coresets look at in a selection; distances are computed anew, by direct differences in float64."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from anomalib_federated.interfaces.coreset import Selection

RADIUS_TOLERANCE = 1e-5
"""Relative; distances by direct differences in float32 keep more digits, the search for the nearest pick fewer."""


def normal_features(n: int, d: int, *, seed: int = 0) -> Tensor:
    """Normally distributed features of shape ``(n, d)``, float32."""
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((n, d))).float()


def distances(x: Tensor, y: Tensor) -> Tensor:
    """Shape ``(n, m)``, float64, by direct differences."""
    differences = x.double()[:, None] - y.double()[None]
    return differences.pow(2).sum(2).sqrt()


def check_indices(selection: Selection, *, n: int, k: int) -> None:
    """int64, 1-D, distinct, in range, ``k`` of them."""
    indices = selection.indices
    assert isinstance(indices, Tensor), f"indices must be a tensor, got {type(indices).__name__}"
    assert indices.dtype == torch.int64, f"indices must be int64, got {indices.dtype}"
    assert indices.shape == (k,), f"indices must have the shape ({k},) for {n} rows, got {tuple(indices.shape)}"
    assert len(torch.unique(indices)) == k, f"indices must be distinct, got {indices.tolist()}"
    assert int(indices.min()) >= 0, f"indices must be row numbers in 0 .. {n - 1}, got {int(indices.min())}"
    assert int(indices.max()) < n, f"indices must be row numbers in 0 .. {n - 1}, got {int(indices.max())}"


def check_radius(selection: Selection, features: Tensor) -> None:
    """The largest distance of a row to its nearest pick."""
    expected = float(distances(features, features[selection.indices]).amin(1).max())
    assert isinstance(selection.radius, float), f"radius must be a float, got {type(selection.radius).__name__}"
    assert math.isclose(selection.radius, expected, rel_tol=RADIUS_TOLERANCE, abs_tol=1e-6), (
        f"radius must be the largest distance of a row to its nearest pick, {expected:.6g}, got {selection.radius:.6g}"
    )


def check_weights(selection: Selection) -> None:
    """float32, positive, one for each pick."""
    weights = selection.weights
    assert isinstance(weights, Tensor), f"weights must be a tensor, got {type(weights).__name__}"
    assert weights.dtype == torch.float32, f"weights must be float32, got {weights.dtype}"
    assert weights.shape == selection.indices.shape, (
        f"there must be one weight per pick, {len(selection.indices)}, got {tuple(weights.shape)}"
    )
    assert bool((weights > 0).all()), f"weights must be positive, got {weights.tolist()}"


def check_same(first: Selection, second: Selection, what: str) -> None:
    """Equal picks, weights and radius, to the last bit."""
    assert torch.equal(first.indices, second.indices), (
        f"{what} must give the same picks in the same order, got {first.indices[:9].tolist()} and "
        f"{second.indices[:9].tolist()}"
    )
    assert torch.equal(first.weights, second.weights), f"{what} must give the same weights"
    assert first.radius == second.radius, f"{what} must give the same radius, got {first.radius} and {second.radius}"
