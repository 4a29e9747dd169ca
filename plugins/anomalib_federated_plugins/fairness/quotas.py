"""How many rows of each group to keep: whole numbers by the largest remainder, which always sum to the budget."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from anomalib_federated.interfaces.fairness import Fairness
from anomalib_federated.selection.budget_shares import proportional_shares
from anomalib_federated.selection.rows import Rows
from anomalib_federated_plugins.fairness.within_group import cover_group


def equal_quotas(sizes: Sequence[int], budget: int, *, minimum: int) -> list[int]:
    """As many rows of each group as of any other; what a small group cannot take, the others share.

    Args:
        sizes: Rows of each group, at least 1.
        budget: Rows to keep of all, at most as many as there are.
        minimum: Rows to keep of each, or all that it has.

    Raises:
        ValueError: If the budget is too small for that.

    Example:
        >>> equal_quotas([100, 100, 3], 30, minimum=1)
        [14, 13, 3]
    """
    return proportional_shares(budget, [1] * len(sizes), limits=sizes, least=minimum, of="groups")


def proportional_quotas(sizes: Sequence[int], budget: int, *, minimum: int) -> list[int]:
    """As large a share of the rows of each group as of any other, but the minimum of each.

    Args:
        sizes: Rows of each group, at least 1.
        budget: Rows to keep of all, at most as many as there are.
        minimum: Rows to keep of each, or all that it has.

    Raises:
        ValueError: If the budget is too small for that.

    Example:
        >>> proportional_quotas([100, 100, 3], 30, minimum=2)
        [14, 14, 2]
    """
    return proportional_shares(budget, sizes, limits=sizes, least=minimum, of="groups")


class QuotaRule(Fairness):
    """Covers each group by as many rows of its own as its quota says, by greedy k-center over its rows alone.

    Every group's rows are within twice the best radius that so many of its own rows can reach.

    Args:
        minimum: Rows that every group surely keeps, or all that it has; 0 allows a group to keep none.

    Raises:
        ValueError: If the minimum is no whole number of at least 0.
    """

    def __init__(self, *, minimum: int = 1) -> None:
        self.minimum = checked_minimum(minimum)

    @abstractmethod
    def quotas(self, sizes: Sequence[int], budget: int) -> list[int]:
        """Rows to keep of each group.

        Args:
            sizes: Rows of each group, at least 1.
            budget: Rows to keep of all, fewer than there are.

        Returns:
            They sum to the budget, and none is above the group's size.

        Raises:
            ValueError: If the budget cannot give each group its minimum.
        """

    def choose(self, rows: Rows, group: Tensor, *, budget: int, seed: int) -> Tensor:
        """Choose the rows of one group after the other."""
        chosen = []
        for number, quota in enumerate(self.quotas(torch.bincount(group).tolist(), budget)):
            if quota:
                members = (group == number).nonzero().flatten()
                chosen.append(members[cover_group(rows, members, quota, seed=seed).indices])
        return torch.cat(chosen)


def checked_minimum(minimum: object) -> int:
    """The minimum of rows of each group, if it is one.

    Raises:
        ValueError: If it is no whole number of at least 0.
    """
    if isinstance(minimum, bool) or not isinstance(minimum, int) or minimum < 0:
        msg = f"The fairness rule's minimum is {minimum!r}; give a number of rows, an int of at least 0."
        raise ValueError(msg)
    return minimum
