"""Fairness: how a budget of rows is shared among groups, and which rows of each are kept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor

from anomalib_federated.selection.rows import Rows


@dataclass(frozen=True, eq=False, kw_only=True)
class FairSelection:
    """The rows that a fairness rule chose, and how well they stand for each group.

    Attributes:
        indices: Shape ``(k,)``, int64: distinct row numbers in the order in which they were picked.
        quotas: Shape ``(m,)``, int64: rows kept of each group; they sum to ``k``.
        radius: Shape ``(m,)``, float64: largest distance of a row of each group to its nearest row kept *of any group*.
        own_radius: The same to its nearest row kept *of its own group*; infinite for a group that kept none.
    """

    indices: Tensor
    quotas: Tensor
    radius: Tensor
    own_radius: Tensor


class Fairness(ABC):
    """Chooses ``budget`` of ``n`` rows, each of one of ``m`` groups.

    A plugin writes :meth:`choose`. Checks before it, and every figure after it, are made here, so that they mean the
    same for every plugin.
    """

    @abstractmethod
    def choose(self, rows: Rows, group: Tensor, *, budget: int, seed: int) -> Tensor:
        """Choose rows.

        Args:
            rows: Finite features, more of them than the budget; not to be changed.
            group: Shape ``(n,)``, int64: number of each row's group, ``0 .. m - 1``, each of which has a row.
            budget: How many rows to choose, at least 1.
            seed: Decides every random choice.

        Returns:
            Exactly ``budget`` distinct row numbers, int64, in the order of picking. Equal arguments give equal choices.
        """
