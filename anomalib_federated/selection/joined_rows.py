"""Rows of several places below each other, without copying any."""

from __future__ import annotations

from itertools import accumulate

import torch
from torch import Tensor

from anomalib_federated.selection.rows import Rows


class JoinedRows(Rows):
    """The rows of the first part, then those of the second, and so on.

    Args:
        parts: At least one, each of shape ``(n, d)`` with its own ``n``.

    Raises:
        ValueError: If they differ in dimensions.

    Example:
        >>> from anomalib_federated.selection.rows import TensorRows
        >>> joined = JoinedRows(TensorRows(torch.zeros(2, 3)), TensorRows(torch.ones(4, 3)))
        >>> joined.shape, joined.take(torch.tensor([1, 2])).tolist()
        ((6, 3), [[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    """

    def __init__(self, *parts: Rows) -> None:
        dims = list(dict.fromkeys(part.shape[1] for part in parts))
        if len(dims) != 1:
            msg = f"Rows of {' and '.join(map(str, dims))} dimensions do not join; all must be of one space."
            raise ValueError(msg)
        *self._begins, rows = accumulate(map(len, parts), initial=0)
        super().__init__(rows, dims[0])
        self.parts = parts

    def read(self, rows: slice) -> Tensor:
        """From one part where it has all, else a copy."""
        read = [
            part.read(slice(max(rows.start - begin, 0), min(rows.stop - begin, len(part))))
            for begin, part in zip(self._begins, self.parts, strict=True)
            if begin < rows.stop and rows.start < begin + len(part)
        ]
        return read[0] if len(read) == 1 else torch.cat([piece.to(read[-1].device) for piece in read])

    def take(self, indices: Tensor) -> Tensor:
        """A copy of the rows."""
        taken = torch.empty(len(indices), self.shape[1])
        part_of = self._part_of(indices)
        for number in torch.unique(part_of).tolist():
            own = part_of == number
            taken[own] = self.parts[number].take(indices[own] - self._begins[number])
        return taken

    def where(self, row: int) -> str:
        """Where its part says it is."""
        number = int(self._part_of(torch.tensor([row])))
        return self.parts[number].where(row - self._begins[number])

    def _part_of(self, indices: Tensor) -> Tensor:
        """Number of the part that holds each row; of parts without rows, none does."""
        return torch.searchsorted(torch.tensor(self._begins), indices.cpu(), right=True) - 1
