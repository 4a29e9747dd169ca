"""The directions in which rows of features vary most."""

from __future__ import annotations

import torch
from torch import Tensor


def principal_directions(centred: Tensor) -> tuple[Tensor, Tensor]:
    """How much of the rows lies along each principal direction, and the directions, the largest first.

    Args:
        centred: Rows around their mean, shape ``(m, d)``, any floating dtype.

    Returns:
        The sums of squares, shape ``(d,)``, and the directions as columns, shape ``(d, d)``; both float64.

    Example:
        >>> shares, directions = principal_directions(torch.tensor([[3.0, 0.0], [-3.0, 0.0], [0.0, 1.0], [0.0, -1.0]]))
        >>> shares.tolist(), directions.abs().tolist()
        ([18.0, 2.0], [[1.0, 0.0], [0.0, 1.0]])
    """
    # Of the scatter matrix, not of the rows: d x d is small, however many rows there are.
    rows = centred.double()
    shares, directions = torch.linalg.eigh(rows.T @ rows)
    return shares.flip(0), directions.flip(1)
