"""Greedy k-center over the rows of one group alone."""

from __future__ import annotations

import torch
from torch import Tensor

from anomalib_federated.selection.lazy_greedy import LazyGreedy
from anomalib_federated.selection.rows import Rows
from anomalib_federated.selection.subset_rows import SubsetRows


def cover_group(rows: Rows, members: Tensor, count: int, *, seed: int) -> LazyGreedy:
    """Greedy k-center over some rows, as if there were no others.

    Args:
        rows: All rows, shape ``(n, d)``.
        members: Numbers of the group's rows, shape ``(s,)``, int64.
        count: How many to pick, ``1 .. s``.
        seed: Decides the first pick.

    Returns:
        The greedy, whose ``indices`` are positions in ``members``.
    """
    own = SubsetRows(rows, members)
    greedy = LazyGreedy(own, start=extreme_row(own, seed=seed))
    greedy.grow(count)
    return greedy


def extreme_row(rows: Rows, *, seed: int) -> int:
    """The row that lies farthest in a direction drawn by the seed, to begin with: in any order of rows the same.

    Of equal rows it is the first.

    Example:
        >>> from anomalib_federated.selection.rows import TensorRows
        >>> line = torch.tensor([[3.0], [-1.0], [7.0]])
        >>> extreme_row(TensorRows(line), seed=0), extreme_row(TensorRows(line), seed=4)
        (2, 1)
    """
    generator = torch.Generator().manual_seed(seed)
    direction = torch.randn(rows.shape[1], generator=generator, dtype=torch.float64)
    first, farthest = 0, -torch.inf
    for which, block in rows.blocks():
        along = block.cpu().double() @ direction
        position = int(along.argmax())
        if float(along[position]) > farthest:
            first, farthest = which.start + position, float(along[position])
    return first
