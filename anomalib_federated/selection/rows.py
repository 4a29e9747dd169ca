"""Features that may be larger than memory: rows that are read block by block."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

from torch import Tensor

BLOCK_BYTES = 16 << 20
"""Bytes of one block in float32: large enough for fast products, small enough for the allocator to use it again."""


class Rows(ABC):
    """Features of shape ``(n, d)``, read in blocks.

    The blocks depend on the shape alone, never on how much memory there is: what is computed from them is the same
    everywhere.

    Args:
        n: Number of rows.
        d: Number of dimensions.

    Attributes:
        passes: How often all rows were read.
    """

    def __init__(self, n: int, d: int) -> None:
        self.shape = (n, d)
        self.passes = 0

    def __len__(self) -> int:
        return self.shape[0]

    @abstractmethod
    def read(self, rows: slice) -> Tensor:
        """Some rows that follow each other.

        Args:
            rows: Which; start and stop are within the rows, the step is 1.

        Returns:
            Shape ``(m, d)``, float32; never to be written to.
        """

    @abstractmethod
    def take(self, indices: Tensor) -> Tensor:
        """Single rows.

        Args:
            indices: Row numbers of shape ``(m,)``, int64.

        Returns:
            Shape ``(m, d)``, float32, on the CPU.
        """

    def blocks(self) -> Iterator[tuple[slice, Tensor]]:
        """All rows, a block at a time.

        Yields:
            Which rows, and their features as :meth:`read` gives them; to be copied if they are needed after the next
            block was asked for.
        """
        for rows in self.slices():
            yield rows, self.read(rows)
        self.passes += 1

    def slices(self) -> list[slice]:
        """Which rows make a block."""
        step = max(1, BLOCK_BYTES // (4 * self.shape[1]))
        return [slice(begin, min(begin + step, len(self))) for begin in range(0, len(self), step)]

    def where(self, row: int) -> str:
        """Where a row comes from, for error messages."""
        return f"row {row}"

    @property
    def state(self) -> Path | None:
        """A file in which a long computation on these rows may keep how far it is; ``None`` if they are not stored."""
        return None


class TensorRows(Rows):
    """Rows of a tensor.

    Args:
        features: Shape ``(n, d)``, floating dtype.

    Example:
        >>> import torch
        >>> rows = TensorRows(torch.eye(3))
        >>> [block.shape for _, block in rows.blocks()], rows.passes
        ([torch.Size([3, 3])], 1)
    """

    def __init__(self, features: Tensor) -> None:
        super().__init__(*features.shape)
        self.features = features

    def read(self, rows: slice) -> Tensor:
        """A view if the tensor is float32, else a copy."""
        return self.features[rows].float()

    def take(self, indices: Tensor) -> Tensor:
        """A copy of the rows."""
        return self.features[indices.to(self.features.device)].float().cpu()


def as_rows(features: object) -> Rows:
    """Rows of a tensor, or the rows given.

    Raises:
        TypeError: If it is neither.
        ValueError: If it is a tensor, but not ``(n, d)``, not floating, or empty.
    """
    if isinstance(features, Rows):
        return features
    if not isinstance(features, Tensor):
        msg = f"Features must be a torch tensor or Rows, got {type(features).__name__}."
        raise TypeError(msg)
    if features.ndim != 2 or not features.is_floating_point() or 0 in features.shape:
        msg = f"Features must be (n, d) and floating, n and d >= 1, got {tuple(features.shape)} {features.dtype}."
        raise ValueError(msg)
    return TensorRows(features)
