"""Coresets: which patch features stand for all of them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from numbers import Integral
from typing import TypeGuard

import torch
from torch import Tensor

from anomalib_federated.bank.validation import MAX_FEATURE

SHARE_ROUNDING = 1e-9
"""Makes 0.29 of 100 rows 29, though their product in floating point is a little less."""


@dataclass(frozen=True, eq=False)
class Selection:
    """The rows that a coreset chose, and how well they stand for the rest.

    Attributes:
        indices: Shape ``(k,)``, int64: row numbers in the order in which they were picked.
        radius: Covering radius: the largest Euclidean distance of any row to its nearest picked row, in the space of
            the features given.
        weights: Shape ``(k,)``, float32: how many rows have this pick as their nearest; they sum to ``n``.
    """

    indices: Tensor
    radius: float
    weights: Tensor


class Coreset(ABC):
    """Chooses ``budget`` of ``n`` features.

    Args:
        budget: An int is a number of rows; a float in (0, 1] is a share of the rows. A budget above ``n`` keeps all.

    Raises:
        ValueError: If the budget is neither.
    """

    def __init__(self, *, budget: int | float) -> None:
        share = isinstance(budget, float) and 0 < budget <= 1
        rows = isinstance(budget, int) and not isinstance(budget, bool) and budget >= 1
        if not share and not rows:
            msg = (
                f"The coreset budget is {budget!r}; give a number of rows (an int >= 1) or a share (a float in (0, 1])."
            )
            raise ValueError(msg)
        self.budget = budget

    def __repr__(self) -> str:
        return f"{type(self).__name__}(budget={self.budget})"

    @abstractmethod
    def select(self, features: Tensor, *, seed: int = 0, start: int | None = None) -> Selection:
        """Choose rows.

        Args:
            features: Shape ``(n, d)``, floating dtype, finite, ``n >= 1``; not changed.
            seed: Decides every random choice.
            start: Row to pick first; ``None`` leaves it to the method.

        Returns:
            ``min(budget, n)`` distinct rows. Equal arguments give equal selections.

        Raises:
            ValueError: If the features or ``start`` are not as said; call :meth:`check` first.
        """

    def rows(self, n: int) -> int:
        """The number of rows that the budget allows out of ``n``."""
        return (
            min(n, self.budget)
            if isinstance(self.budget, int)
            else max(1, math.floor(self.budget * n + SHARE_ROUNDING))
        )

    def check(self, features: object, start: object) -> None:
        """Refuse features or a start that :meth:`select` cannot use.

        Raises:
            TypeError: If the features are no tensor.
            ValueError: If the features are not ``(n, d)``, empty or not finite (the error names the first such row), or
                ``start`` is not a row.
        """
        if not isinstance(features, Tensor):
            msg = f"A coreset needs a torch tensor of features, got {type(features).__name__}."
            raise TypeError(msg)
        if features.ndim != 2 or not features.is_floating_point() or 0 in features.shape:
            msg = (
                f"A coreset needs (n, d) floating features, n and d >= 1, got {tuple(features.shape)} {features.dtype}."
            )
            raise ValueError(msg)
        broken = ~(torch.isfinite(features) & (features.abs() <= MAX_FEATURE)).all(1)
        if bool(broken.any()):
            first, count = int(broken.nonzero()[0]), int(broken.sum())
            msg = f"Row {first} of the features is NaN, infinite or absurdly large ({count} such rows)."
            raise ValueError(msg)
        if start is not None and not (_is_whole(start) and 0 <= int(start) < len(features)):
            msg = f"The coreset's start is {start!r}, which is not one of the rows 0 .. {len(features) - 1}."
            raise ValueError(msg)


def _is_whole(value: object) -> TypeGuard[Integral]:
    return isinstance(value, Integral) and not isinstance(value, bool)
