"""Maps over a picture's positions as few cosines of low frequency (a discrete cosine transform, type II)."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def position_cosines(size: int, frequencies: int) -> Tensor:
    """Cosines along one side, orthonormal under the mean over positions.

    Args:
        size: Positions, in the middle of equal cells.
        frequencies: How many cosines, from the constant one upwards. Those that so few positions cannot tell apart
            are zero.

    Returns:
        Shape ``(frequencies, size)``, float64.

    Example:
        >>> both = position_cosines(5, 3)
        >>> (both @ both.T / 5).round(decimals=6).equal(torch.eye(3, dtype=torch.float64))
        True
    """
    return cosines_at((torch.arange(size, dtype=torch.float64) + 0.5) / size, frequencies) * (
        torch.arange(frequencies) < size
    ).unsqueeze(1)


def cosines_at(positions: Tensor, frequencies: int) -> Tensor:
    """The same cosines anywhere.

    Args:
        positions: Shape ``(n,)``, from 0 to 1, float64.
        frequencies: How many.

    Returns:
        Shape ``(frequencies, n)``, float64.
    """
    waves = torch.arange(frequencies, dtype=torch.float64).unsqueeze(1)
    return torch.cos(math.pi * waves * positions) * torch.where(waves == 0, 1.0, math.sqrt(2))


def to_cosines(values: Tensor, frequencies: int) -> Tensor:
    """The coefficients of a map.

    Args:
        values: Shape ``(rows, columns, d)``, float64.
        frequencies: Per side.

    Returns:
        Shape ``(frequencies, frequencies, d)``.
    """
    rows, columns, _ = values.shape
    down = position_cosines(rows, frequencies) / rows
    across = position_cosines(columns, frequencies) / columns
    return torch.einsum("ir,jc,rcd->ijd", down, across, values)


def from_cosines(coefficients: Tensor, down: Tensor, across: Tensor) -> Tensor:
    """The map that coefficients tell.

    Args:
        coefficients: Shape ``(frequencies, frequencies, d)``, float64.
        down: Cosines of the rows, shape ``(frequencies, rows)``.
        across: Cosines of the columns, shape ``(frequencies, columns)``.

    Returns:
        Shape ``(rows, columns, d)``.
    """
    return torch.einsum("ir,jc,ijd->rcd", down, across, coefficients)
