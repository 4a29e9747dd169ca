"""The patches of a picture that lie farthest from the bank, and what they contribute."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from anomalib_federated.interfaces.explainer import Case, Contribution


def worst_patches(case: Case, count: int | None) -> Tensor:
    """Numbers of the patches with the largest distances, the largest first; of equal ones, the first in the grid.

    Args:
        case: The picture and its detector.
        count: How many; ``None`` takes all, and so does a number beyond.

    Returns:
        Shape ``(n,)``, int64.
    """
    order = case.distances.flatten().sort(descending=True, stable=True).indices
    return order[:count]


def contributions_of(
    case: Case, patches: Tensor, values: Tensor, errors: Tensor | None = None
) -> tuple[Contribution, ...]:
    """Contributions of patches, the largest first.

    Args:
        case: The picture and its detector.
        patches: Numbers of the patches, shape ``(n,)``.
        values: Their contributions, shape ``(n,)``.
        errors: Standard errors of these, shape ``(n,)``, if they were sampled.
    """
    order = values.sort(descending=True, stable=True).indices.tolist()
    told: Sequence[float | None] = [None] * len(values) if errors is None else errors.tolist()
    return tuple(
        Contribution(
            patch=int(patches[each]),
            box=case.box(int(patches[each])),
            value=float(values[each]),
            standard_error=told[each],
        )
        for each in order
    )


def relevance_of(case: Case, patches: Tensor, values: Tensor) -> Tensor:
    """Contributions over the picture, 0 where there is no such patch; shape ``(h, w)``."""
    grid = torch.zeros(case.distances.numel())
    grid[patches] = values.float()
    return case.on_picture(grid.reshape(case.distances.shape))
