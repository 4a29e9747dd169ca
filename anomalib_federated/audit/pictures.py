"""Patch features to audit with: ordinary pictures, and such that stand out as far as any can."""

from __future__ import annotations

import torch
from torch import Tensor

from anomalib_federated.bank import FeatureSpace

GRID = (8, 8)
"""Rows and columns of patches of a generated picture."""
FAR = (1.0, 30.0, 1000.0)
"""How far canaries lie outside of ordinary pictures: in multiples of their root mean square."""


def generated_pictures(count: int, *, dim: int, seed: int) -> Tensor:
    """Patch features of pictures that look alike: a common pattern, a tone of each picture's own, and patches' noise.

    Args:
        count: How many.
        dim: Feature dimensions.
        seed: Decides them.

    Returns:
        Shape ``(count, rows, columns, dim)``, float32.

    Example:
        >>> generated_pictures(3, dim=16, seed=0).shape
        torch.Size([3, 8, 8, 16])
    """
    generator = torch.Generator().manual_seed(seed)
    common = torch.randn(1, *GRID, dim, generator=generator)
    own = torch.randn(count, 1, 1, dim, generator=generator) / 4
    return common + own + torch.randn(count, *GRID, dim, generator=generator) / 2


def generated_space(dim: int) -> FeatureSpace:
    """The feature space of generated pictures, which no backbone made."""
    return FeatureSpace(
        backbone="generated",
        weights="0" * 64,
        layers=("generated",),
        layer_scales=(1.0,),
        image_size=(64, 64),
        keep_aspect_ratio=False,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        pooling=1,
        dim=dim,
    )


def canaries(ordinary: Tensor, *, seed: int) -> list[Tensor]:
    """Pictures that an attacker may hope to see: of one colour, of all colours, or ordinary but for their contrast.

    Args:
        ordinary: Shape ``(n, rows, columns, d)``.
        seed: Decides them.

    Returns:
        Of shape ``(rows, columns, d)`` each, float32.
    """
    generator = torch.Generator().manual_seed(seed)
    shape = ordinary.shape[1:]
    patterns = (
        torch.randn(shape, generator=generator),
        torch.randn(shape[-1], generator=generator).expand(shape),
        torch.ones(shape),
        ordinary[0] / _size(ordinary),
    )
    return [far * _size(ordinary) * pattern for far in FAR for pattern in patterns]


def _size(pictures: Tensor) -> float:
    return float(pictures.square().mean().sqrt())
