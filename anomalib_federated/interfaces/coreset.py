"""Coresets: which patch features stand for all of them."""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from numbers import Integral

import torch
from torch import Tensor

from anomalib_federated.selection.budget import Budget, BudgetLike
from anomalib_federated.selection.covering import measure_picks
from anomalib_federated.selection.finite import check_finite
from anomalib_federated.selection.rows import Rows, as_rows

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Picks:
    """What a plugin answers.

    Attributes:
        indices: Shape ``(k,)``, int64: distinct row numbers in the order in which they were picked.
        owner: Shape ``(n,)``, an integer type: for each row, the position in ``indices`` of its nearest pick; ``None``
            leaves it to the base class to find.
    """

    indices: Tensor
    owner: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Selection:
    """The rows that a coreset chose, and how well they stand for the rest.

    Attributes:
        indices: Shape ``(k,)``, int64: row numbers in the order in which they were picked.
        radius: Covering radius: the largest Euclidean distance of any row to its nearest picked row, in the space of
            the features given.
        mean_distance: Mean distance of the rows to their nearest picked row, in the same space.
        weights: Shape ``(k,)``, float32: how many rows have this pick as their nearest; they sum to ``n``.
        seconds: Wall time of the selection with its measurement.
        passes: How often all rows were read, the checks before and the measurement after included.
    """

    indices: Tensor
    radius: float
    mean_distance: float
    weights: Tensor
    seconds: float
    passes: int


class Coreset(ABC):
    """Chooses ``budget`` of ``n`` features.

    A plugin writes :meth:`pick`. Checks before it, and every figure after it, are made here, so that they mean the same
    for every plugin.

    Args:
        budget: Rows (an int), a share of the rows (a float in (0, 1]), or ``{"radius": R, "rows": MOST}`` for as many
            rows as it takes to cover all within ``R``. A budget above ``n`` keeps all.

    Raises:
        ValueError: If the budget is none of these.
    """

    def __init__(self, *, budget: BudgetLike) -> None:
        self.budget = Budget.of(budget)

    def __repr__(self) -> str:
        settings = {**vars(self), "budget": self.budget.plain()}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in settings.items())})"

    @property
    def is_blind(self) -> bool:
        """Whether which rows are picked depends on their number alone, and on no feature: some privacy rests on it."""
        return False

    @abstractmethod
    def pick(self, rows: Rows, *, seed: int, start: int | None) -> Picks:
        """Choose rows.

        Args:
            rows: Finite features, more of them than :meth:`rows` of their number; not to be changed. They may be larger
                than memory: read them by ``rows.blocks()`` and ``rows.take(indices)``.
            seed: Decides every random choice.
            start: Row to pick first; ``None`` leaves it to the method.

        Returns:
            ``self.rows(len(rows))`` distinct rows, or fewer where ``self.budget.radius`` is reached before. Equal
            arguments give equal picks.
        """

    def select(self, features: Tensor | Rows, *, seed: int = 0, start: int | None = None) -> Selection:
        """Choose rows and measure how well they stand for all.

        Args:
            features: Shape ``(n, d)``, floating dtype, finite, ``n >= 1``; not changed.
            seed: Decides every random choice.
            start: Row to pick first; ``None`` leaves it to the method.

        Returns:
            Distinct rows, as many as the budget says. Equal arguments give equal selections.

        Raises:
            TypeError: If the features are neither a tensor nor rows.
            ValueError: If the features are not ``(n, d)``, empty or not finite (the error names the first such row), or
                ``start`` is not a row.
        """
        began, rows = time.perf_counter(), as_rows(features)
        before = rows.passes
        check_finite(rows)
        if start is not None and not _is_row(start, len(rows)):
            msg = f"The coreset's start is {start!r}, which is not one of the rows 0 .. {len(rows) - 1}."
            raise ValueError(msg)
        if self.keeps_all(len(rows)):
            logger.info("The budget %s allows all %d rows: all are kept", self.budget.plain(), len(rows))
            picks = _everything(len(rows), start)
        else:
            picks = self.pick(rows, seed=seed, start=start)
        covering = measure_picks(rows, picks.indices, owner=picks.owner)
        if self.budget.radius is not None and covering.radius > self.budget.radius:
            logger.warning("%d rows cover only within %.4g, not within the target radius %.4g; allow more rows",
                           len(picks.indices), covering.radius, self.budget.radius)  # fmt: skip
        return Selection(
            indices=picks.indices,
            radius=covering.radius,
            mean_distance=covering.mean_distance,
            weights=covering.weights,
            seconds=time.perf_counter() - began,
            passes=rows.passes - before,
        )

    def keeps_all(self, n: int) -> bool:
        """Whether all of ``n`` rows are kept, so that there is nothing to choose."""
        return self.budget.radius is None and self.rows(n) == n

    def rows(self, n: int) -> int:
        """The most rows that the budget allows out of ``n``."""
        return self.budget.limit(n)


def _everything(n: int, start: int | None) -> Picks:
    indices = torch.arange(n)
    if start is not None:
        indices = torch.cat([torch.tensor([start]), indices[indices != start]])
    owner = torch.empty(n, dtype=torch.int64)
    owner[indices] = torch.arange(n)
    return Picks(indices, owner)


def _is_row(value: object, n: int) -> bool:
    return not isinstance(value, bool) and isinstance(value, Integral) and 0 <= int(value) < n
