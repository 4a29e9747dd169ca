"""The bank rows of one category, as patches are compared with them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from anomalib_federated.bank import MemoryBank


class CategoryRows(NamedTuple):
    """Bank rows around their mean: products of centred features are small and lose few digits.

    Attributes:
        rows: Shape ``(m, k)``, float32: with the mean subtracted and, if there is a projection, multiplied by it.
        centre: The mean, shape ``(d,)``.
        projection: Shape ``(d, k)``; ``None`` leaves features as they are, so ``k`` is ``d``.
        places: Where each row counts, shape ``(m, 2)``, see :class:`anomalib_federated.bank.MemoryBank`; ``None`` means
            everywhere.

    Example:
        >>> from anomalib_federated.testing import example_bank
        >>> rows = CategoryRows.of(example_bank(rows=3))
        >>> torch.allclose(rows.compared(example_bank(rows=3).features), rows.rows)
        True
        >>> list(rows.tensors)
        ['rows', 'centre']
    """

    rows: Tensor
    centre: Tensor
    projection: Tensor | None = None
    places: Tensor | None = None

    @classmethod
    def of(cls, bank: MemoryBank) -> CategoryRows:
        """The rows of a bank of one category."""
        (category,) = bank.categories
        features, projection = bank.features.float(), bank.projections.get(category)
        centre = features.mean(0)
        rows = features - centre
        return cls(rows if projection is None else rows @ projection, centre, projection, bank.row_place)

    def compared(self, features: Tensor) -> Tensor:
        """Features of patches as they are compared with the rows.

        Args:
            features: Shape ``(n, d)``, float32.

        Returns:
            Shape ``(n, k)``.
        """
        centred = features - self.centre
        return centred if self.projection is None else centred @ self.projection

    @property
    def tensors(self) -> dict[str, Tensor]:
        """Those that there are, by name; ``CategoryRows(**rows.tensors)`` is the same again."""
        return {name: tensor for name, tensor in self._asdict().items() if tensor is not None}

    def to(self, device: torch.device) -> CategoryRows:
        """The same on a device."""
        return CategoryRows(**{name: tensor.to(device) for name, tensor in self.tensors.items()})
