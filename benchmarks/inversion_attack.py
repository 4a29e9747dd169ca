"""Pixels from patch features, by gradient descent through the frozen backbone: an attack on memory banks.

Mahendran and Vedaldi 2015, *Understanding Deep Image Representations by Inverting Them*,
https://arxiv.org/abs/1412.0035, with pixels as a sum of several resolutions, which descends faster.
"""

from __future__ import annotations

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn.functional import interpolate

from anomalib_federated.models import PatchFeatureExtractor

LEVELS = (1, 2, 4, 8, 16)
"""Pixels per side of a cell of each resolution."""


def invert(
    extractor: PatchFeatureExtractor,
    targets: Tensor,
    known: Tensor | None = None,
    *,
    size: tuple[int, int],
    steps: int,
    smoothness: float,
    seed: int,
    projection: Tensor | None = None,
) -> Tensor:
    """Pictures whose patches have the features that are given.

    Args:
        extractor: The frozen backbone that everybody has.
        targets: Shape ``(batch, d, rows, columns)``.
        known: Shape ``(batch, rows, columns)``, bool: of which places a feature is given; ``None`` means of all.
        size: Height and width of the pictures, in pixels.
        steps: Of gradient descent (Adam).
        smoothness: Weight of total variation.
        seed: Of the first picture.
        projection: Shape ``(d, k)``: differences are measured after it; ``None`` leaves them as they are.

    Returns:
        Pixels in 0 .. 1, shape ``(batch, 3, *size)``.
    """
    generator = torch.Generator().manual_seed(seed)
    levels = [
        torch.zeros(len(targets), 3, size[0] // level, size[1] // level).normal_(0, 0.01, generator=generator)
        for level in LEVELS
    ]
    projection = torch.eye(targets.shape[1]) if projection is None else projection
    weights = torch.ones_like(targets[:, 0]) if known is None else known.float()
    goal = _projected(targets, projection)
    scale = (goal.pow(2).sum(1) * weights).sum((1, 2), keepdim=True)
    mean, std = (torch.tensor(values).reshape(1, 3, 1, 1) for values in (extractor.space.mean, extractor.space.std))
    optimiser = torch.optim.Adam([level.requires_grad_() for level in levels], lr=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        optimiser.zero_grad()
        pixels = _pixels(levels, size)
        apart = _projected(extractor((pixels - mean) / std), projection) - goal
        loss = (apart.pow(2).sum(1) * weights / scale).sum() + smoothness * total_variation(pixels).sum()
        torch.autograd.backward(loss)
        optimiser.step()
        schedule.step()
    return _pixels(levels, size).detach()


def total_variation(pixels: Tensor) -> Tensor:
    """Mean absolute difference of neighbouring pixels, shape ``(batch,)``."""
    down, across = pixels.diff(dim=2).abs(), pixels.diff(dim=3).abs()
    return down.mean((1, 2, 3)) + across.mean((1, 2, 3))


def arrange(rows: Tensor, examples: Tensor) -> Tensor:
    """Where each row of a picture most likely lies: no two at one place, each near to an example's feature there.

    Args:
        rows: Shape ``(n, d)``, with ``n`` at most the number of places.
        examples: Features of pictures of the same part, shape ``(pictures, d, rows, columns)``.

    Returns:
        Number of each row's place, line by line, shape ``(n,)``, int64.
    """
    cost = torch.stack([torch.cdist(rows, example.flatten(1).T) for example in examples]).amin(0)
    order, places = linear_sum_assignment(cost.numpy())
    return torch.from_numpy(places[order.argsort()])


def on_grid(rows: Tensor, places: Tensor, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Rows at their places.

    Returns:
        Features ``(d, rows, columns)``, and where there are any ``(rows, columns)``, bool.
    """
    features, known = torch.zeros(grid[0] * grid[1], rows.shape[1]), torch.zeros(grid[0] * grid[1], dtype=torch.bool)
    features[places], known[places] = rows, True
    return features.T.reshape(-1, *grid), known.reshape(grid)


def _pixels(levels: list[Tensor], size: tuple[int, int]) -> Tensor:
    return torch.stack([interpolate(level, size=size, mode="bilinear") for level in levels]).sum(0).sigmoid()


def _projected(features: Tensor, projection: Tensor) -> Tensor:
    return torch.einsum("bdrc,dk->bkrc", features, projection)
