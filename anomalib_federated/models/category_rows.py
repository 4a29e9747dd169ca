"""The bank rows of one category, as patches are compared with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from anomalib_federated.bank import MemoryBank
from anomalib_federated.models.site_quorum import site_blocks
from anomalib_federated.models.two_stage_search import FEWEST_ROWS, RowSketch
from anomalib_federated.selection.distances import centre_of


class CategoryRows(NamedTuple):
    """Bank rows around a point amid them: products of centred features are small and lose few digits.

    Attributes:
        rows: Shape ``(m, k)``, float32: with the centre subtracted and, if there is a projection, multiplied by it.
        centre: A median, shape ``(d,)``: rows that a bad site sends from afar do not move it, which would cost the
            others digits.
        projection: Shape ``(d, k)``; ``None`` leaves features as they are, so ``k`` is ``d``.
        places: Where each row counts, shape ``(m, 2)``, see :class:`anomalib_federated.bank.MemoryBank`; ``None`` means
            everywhere.
        sketch: Few digits of the rows, by which a graph searches; ``None`` compares all rows.
        blocks: Which bank rows these are, block by block of one site each, shape ``(sites, m / sites)``, int64, see
            :func:`~anomalib_federated.models.site_quorum.site_blocks`; ``None`` does not tell sites apart.

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
    sketch: RowSketch | None = None
    blocks: Tensor | None = None

    @classmethod
    def of(cls, bank: MemoryBank, *, site_quorum: int = 1) -> CategoryRows:
        """The rows of a bank of one category.

        Args:
            bank: The bank.
            site_quorum: If above 1, rows are arranged by site.

        Raises:
            BankError: If the bank has rows of fewer sites.
        """
        (category,) = bank.categories
        features, projection = bank.features.float(), bank.projections.get(category)
        blocks = site_blocks(bank, site_quorum) if site_quorum > 1 else None
        if blocks is not None:
            features = features[blocks.flatten()]
        centre = centre_of(features)
        rows = features - centre
        return cls(rows if projection is None else rows @ projection, centre, projection, bank.row_place, blocks=blocks)

    def compared(self, features: Tensor) -> Tensor:
        """Features of patches as they are compared with the rows.

        Args:
            features: Shape ``(n, d)``, float32.

        Returns:
            Shape ``(n, k)``.
        """
        centred = features - self.centre
        return centred if self.projection is None else centred @ self.projection

    def in_bank(self, owners: Tensor) -> Tensor:
        """The numbers in the bank of rows that have these numbers here; int64, of any shape."""
        return owners if self.blocks is None else self.blocks.flatten()[owners]

    def sketched(self) -> CategoryRows:
        """The same with a sketch, if there are so many rows that count everywhere and for all that it saves time."""
        if self.places is not None or self.blocks is not None or len(self.rows) < FEWEST_ROWS:
            return self
        return self._replace(sketch=RowSketch.of(self.rows))

    @property
    def tensors(self) -> dict[str, Tensor]:
        """Those that there are, by name."""
        own = {name: tensor for name, tensor in self._asdict().items() if isinstance(tensor, Tensor)}
        return own if self.sketch is None else own | self.sketch._asdict()

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> CategoryRows:
        """What has these :attr:`tensors`."""
        own = {name: tensor for name, tensor in tensors.items() if name in cls._fields}
        sketch = {name: tensor for name, tensor in tensors.items() if name in RowSketch._fields}
        return cls(**own, sketch=RowSketch(**sketch) if sketch else None)

    def to(self, device: torch.device) -> CategoryRows:
        """The same on a device."""
        return self.from_tensors({name: tensor.to(device) for name, tensor in self.tensors.items()})
