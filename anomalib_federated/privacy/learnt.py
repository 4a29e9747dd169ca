"""What noisy sums say of the good parts of one category, after the last round."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False, kw_only=True)
class Learnt:
    """Rows, and how distances from them are measured.

    A patch ``g`` is as far from a row ``r`` as ``(g - r) @ projection`` is long. If rows have places, a patch is
    compared with those rows alone whose place is nearest to its own.

    Attributes:
        rows: Points of the feature space, shape ``(m, d)``, float32, ``m >= 1``.
        pictures: How many pictures there were, as far as the noise tells.
        places: Where in a picture each row counts, shape ``(m, 2)``, float32, from 0 (top, left) to 1; ``None`` means
            everywhere.
        projection: Shape ``(d, k)``, float32; ``None`` leaves distances as they are.

    Raises:
        ValueError: If a shape, type or number is impossible.

    Example:
        >>> Learnt(rows=torch.zeros(1, 8), pictures=20.4).rows.shape
        torch.Size([1, 8])
    """

    rows: Tensor
    pictures: float
    places: Tensor | None = None
    projection: Tensor | None = None

    def __post_init__(self) -> None:
        if self.rows.ndim != 2 or not self.rows.numel():
            msg = f"Rows of shape {tuple(self.rows.shape)} were learnt; they must be (m, d), with m at least 1."
            raise ValueError(msg)
        if not math.isfinite(self.pictures):
            msg = f"The noisy number of pictures is {self.pictures}; it must be finite."
            raise ValueError(msg)
        wanted = {"rows": tuple(self.rows.shape), "places": (len(self.rows), 2), "projection": self._projection_shape}
        for name, shape in wanted.items():
            found: Tensor | None = getattr(self, name)
            if found is None:
                continue
            if tuple(found.shape) != shape or found.dtype != torch.float32 or not bool(torch.isfinite(found).all()):
                msg = f"The learnt {name} are {tuple(found.shape)} {found.dtype}; they must be {shape} float32, finite."
                raise ValueError(msg)
        if self.places is not None and not bool(((self.places >= 0) & (self.places <= 1)).all()):
            msg = "A learnt place lies outside of the picture; places go from 0 to 1."
            raise ValueError(msg)

    @property
    def _projection_shape(self) -> tuple[int, int] | None:
        if self.projection is None or self.projection.ndim != 2:
            return None
        return self.rows.shape[1], self.projection.shape[1]
