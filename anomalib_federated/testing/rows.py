"""Rows that are read block by block, as from a store."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from anomalib_federated.selection.rows import Rows


class BlockRows(Rows):
    """A tensor that shows only a block at a time, and takes it back when the next is asked for.

    Args:
        features: Shape ``(n, d)``, floating dtype.
        step: Rows of a block.

    Example:
        >>> [len(block) for _, block in BlockRows(torch.eye(5), step=2).blocks()]
        [2, 2, 1]
    """

    def __init__(self, features: Tensor, *, step: int) -> None:
        super().__init__(*features.shape)
        self._features = features.clone()
        self._step = step

    def read(self, rows: slice) -> Tensor:
        """A copy of some rows that follow each other."""
        return self._features[rows].to(torch.float32, copy=True)

    def take(self, indices: Tensor) -> Tensor:
        """A copy of single rows."""
        return self._features[indices].float()

    def blocks(self) -> Iterator[tuple[slice, Tensor]]:
        """All rows, ``step`` at a time."""
        for begin in range(0, len(self), self._step):
            rows = slice(begin, min(begin + self._step, len(self)))
            block = self.read(rows)
            yield rows, block
            block.fill_(torch.nan)
        self.passes += 1
