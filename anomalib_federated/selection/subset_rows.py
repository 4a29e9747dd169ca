"""Some of the rows, without a copy of them."""

from __future__ import annotations

from torch import Tensor

from anomalib_federated.selection.rows import Rows


class SubsetRows(Rows):
    """Rows by their numbers, in the order of these.

    Args:
        rows: All rows, shape ``(n, d)``.
        indices: Row numbers of shape ``(m,)``, int64, ``m >= 1``.

    Example:
        >>> import torch
        >>> from anomalib_federated.selection.rows import TensorRows
        >>> subset = SubsetRows(TensorRows(torch.arange(8.0).reshape(4, 2)), torch.tensor([3, 1]))
        >>> [block.tolist() for _, block in subset.blocks()], subset.where(0)
        ([[[6.0, 7.0], [2.0, 3.0]]], 'row 3')
    """

    def __init__(self, rows: Rows, indices: Tensor) -> None:
        super().__init__(len(indices), rows.shape[1])
        self._rows = rows
        self._indices = indices

    def read(self, rows: slice) -> Tensor:
        """A copy."""
        return self._rows.take(self._indices[rows])

    def take(self, indices: Tensor) -> Tensor:
        """A copy of the rows."""
        return self._rows.take(self._indices[indices])

    def where(self, row: int) -> str:
        """Where the row comes from among all."""
        return self._rows.where(int(self._indices[row]))
