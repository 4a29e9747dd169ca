"""Rows of two places below each other, without copying either."""

from __future__ import annotations

import torch
from torch import Tensor

from anomalib_federated.rows import Rows


class JoinedRows(Rows):
    """The rows of ``first``, then those of ``second``.

    Args:
        first: Shape ``(n, d)``.
        second: Shape ``(m, d)``.

    Raises:
        ValueError: If they differ in dimensions.

    Example:
        >>> from anomalib_federated.rows import TensorRows
        >>> joined = JoinedRows(TensorRows(torch.zeros(2, 3)), TensorRows(torch.ones(4, 3)))
        >>> joined.shape, joined.take(torch.tensor([1, 2])).tolist()
        ((6, 3), [[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    """

    def __init__(self, first: Rows, second: Rows) -> None:
        if first.shape[1] != second.shape[1]:
            msg = f"Rows of {first.shape[1]} and {second.shape[1]} dimensions do not join; both must be of one space."
            raise ValueError(msg)
        super().__init__(len(first) + len(second), first.shape[1])
        self.first = first
        self.second = second

    def read(self, rows: slice) -> Tensor:
        """From one of both where it has all, else a copy."""
        border = len(self.first)
        if rows.stop <= border:
            return self.first.read(rows)
        rest = self.second.read(slice(max(rows.start - border, 0), rows.stop - border))
        if rows.start >= border:
            return rest
        return torch.cat([self.first.read(slice(rows.start, border)).to(rest.device), rest])

    def take(self, indices: Tensor) -> Tensor:
        """A copy of the rows."""
        border = len(self.first)
        taken = torch.empty(len(indices), self.shape[1])
        in_first = indices < border
        taken[in_first] = self.first.take(indices[in_first])
        taken[~in_first] = self.second.take(indices[~in_first] - border)
        return taken

    def where(self, row: int) -> str:
        """Where one of both says it is."""
        border = len(self.first)
        return self.first.where(row) if row < border else self.second.where(row - border)
