"""Fairness: how a budget of rows is shared among groups, and which rows of each are kept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from numbers import Integral

import torch
from torch import Tensor

from anomalib_federated.registry import PluginError
from anomalib_federated.selection.finite import check_finite
from anomalib_federated.selection.group_covering import measure_groups
from anomalib_federated.selection.rows import Rows, as_rows


@dataclass(frozen=True, eq=False, kw_only=True)
class FairSelection:
    """The rows that a fairness rule chose, and how well they stand for each group.

    Attributes:
        indices: Shape ``(k,)``, int64: distinct row numbers in the order in which they were picked.
        quotas: Shape ``(m,)``, int64: rows kept of each group; they sum to ``k``.
        radius: Shape ``(m,)``, float64: largest Euclidean distance of a row of each group to its nearest row kept *of
            any group*, in the space of the features given.
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

    Attributes:
        minimum: Rows that every group surely keeps, or all of its rows if it has fewer; 0 promises nothing. A budget
            that cannot give each group as many is refused by :meth:`choose` with a ``ValueError``.
    """

    minimum: int = 0

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"

    @abstractmethod
    def choose(self, rows: Rows, group: Tensor, *, budget: int, seed: int) -> Tensor:
        """Choose rows.

        Args:
            rows: Finite features, more of them than the budget; not to be changed. They may be larger than memory: read
                them by ``rows.blocks()`` and ``rows.take(indices)``.
            group: Shape ``(n,)``, int64: number of each row's group, ``0 .. m - 1``, each of which has a row; not to be
                changed.
            budget: How many rows to choose, at least 1.
            seed: Decides every random choice.

        Returns:
            Exactly ``budget`` distinct row numbers, int64, in the order of picking. Equal arguments give equal choices,
            and rows in another order give the same rows: what is random is drawn for features, not for row numbers.

        Raises:
            ValueError: If the rule makes no sense for so few rows and so many groups.
        """

    def select(self, features: Tensor | Rows, group: Tensor, *, budget: int, seed: int = 0) -> FairSelection:
        """Choose rows and measure how well they stand for each group.

        Args:
            features: Shape ``(n, d)``, floating dtype, finite, ``n >= 1``; not changed.
            group: Shape ``(n,)``, an integer type: number of each row's group, ``0 .. m - 1``, none of them without a
                row; not changed.
            budget: How many rows to choose, at least 1; a budget above ``n`` keeps all, in their order.
            seed: Decides every random choice.

        Returns:
            ``min(budget, n)`` distinct rows. Equal arguments give equal selections.

        Raises:
            TypeError: If the features are neither a tensor nor rows, or the group is no tensor.
            ValueError: If the features are not ``(n, d)``, empty or not finite (the error names the first such row),
                the groups are not as said above, the budget is no whole number of at least 1, or the rule refuses it.
            PluginError: If the plugin did not choose exactly that many distinct rows.
        """
        rows = as_rows(features)
        group = _checked_groups(group, len(rows))
        if not _is_count(budget):
            msg = f"The budget of a fair selection is {budget!r}; give a number of rows, an int of at least 1."
            raise ValueError(msg)
        check_finite(rows)
        groups = int(group.max()) + 1
        if budget >= len(rows):
            nothing = torch.zeros(groups, dtype=torch.float64)
            return FairSelection(
                indices=torch.arange(len(rows)),
                quotas=torch.bincount(group),
                radius=nothing,
                own_radius=nothing.clone(),
            )
        indices = self.choose(rows, group, budget=int(budget), seed=seed)
        self._check_answer(indices, len(rows), int(budget))
        covering = measure_groups(rows, group, rows.take(indices), group[indices])
        return FairSelection(
            indices=indices,
            quotas=torch.bincount(group[indices], minlength=groups),
            radius=covering.radius,
            own_radius=covering.own_radius,
        )

    def _check_answer(self, indices: object, n: int, budget: int) -> None:
        """Refuse what is not ``budget`` distinct row numbers."""
        rule = f"The fairness rule {type(self).__name__} was to choose {budget} of {n} rows as a 1-D int64 tensor, but"
        if not isinstance(indices, Tensor) or indices.ndim != 1 or indices.dtype != torch.int64:
            form = f"{tuple(indices.shape)} {indices.dtype}" if isinstance(indices, Tensor) else type(indices).__name__
            msg = f"{rule} it answered {form}; repair the plugin."
            raise PluginError(msg)
        if len(indices) != budget:
            msg = f"{rule} it chose {len(indices)}; repair the plugin."
            raise PluginError(msg)
        if int(indices.min()) < 0 or int(indices.max()) >= n:
            msg = f"{rule} it chose a row outside 0 .. {n - 1}; repair the plugin."
            raise PluginError(msg)
        if (distinct := len(torch.unique(indices))) != budget:
            msg = f"{rule} only {distinct} of its rows are distinct; repair the plugin."
            raise PluginError(msg)


def _is_count(value: object) -> bool:
    return not isinstance(value, bool) and isinstance(value, Integral) and int(value) >= 1


def _checked_groups(group: object, n: int) -> Tensor:
    """The groups' numbers as int64, on the CPU.

    Raises:
        TypeError: If they are no tensor.
        ValueError: If they are not one integer a row, or not numbered without a gap from 0.
    """
    if not isinstance(group, Tensor):
        msg = f"The groups of the rows must be a torch tensor, got {type(group).__name__}."
        raise TypeError(msg)
    if group.shape != (n,) or group.is_floating_point() or group.is_complex() or group.dtype == torch.bool:
        msg = f"The groups of {n} rows must be ({n},) and of an integer type, got {tuple(group.shape)} {group.dtype}."
        raise ValueError(msg)
    group = group.to("cpu", torch.int64)
    numbers = torch.unique(group)
    gaps = (numbers != torch.arange(len(numbers))).nonzero().flatten()
    if len(gaps):
        first = int(gaps[0])
        found = int(numbers[first])
        problem = f"a row is of group {found}" if found < 0 else f"no row is of group {first}"
        msg = f"Groups are numbered 0 .. m - 1, each with a row, but {problem}; number those that have rows anew."
        raise ValueError(msg)
    return group
