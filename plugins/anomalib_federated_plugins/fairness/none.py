"""No fairness: greedy k-center over all rows, whatever group they are of."""

from __future__ import annotations

from torch import Tensor

from anomalib_federated.interfaces.fairness import Fairness
from anomalib_federated.selection.lazy_greedy import LazyGreedy
from anomalib_federated.selection.rows import Rows
from anomalib_federated_plugins.fairness.within_group import extreme_row


class NoFairness(Fairness):
    """Ignores the groups: what happens if nobody thinks about them, to compare the other rules with.

    The covering radius of all rows together is at most twice the best possible (Gonzalez 1985,
    https://doi.org/10.1016/0304-3975(85)90224-5), and nothing at all is promised to any group: one may keep no row, and
    its rows are then covered by those of others, or, where these do not count for it, by none.

    Notes:
        Time ``O(n k d)`` in a few dozen matrix products, for ``k`` rows out of ``n`` in ``d`` dimensions.

    Example:
        >>> import torch
        >>> line = torch.tensor([[0.0], [1.0], [2.0], [10.0]])
        >>> selection = NoFairness().select(line, torch.tensor([0, 1, 1, 0]), budget=2)
        >>> selection.indices, selection.quotas, selection.own_radius
        (tensor([3, 0]), tensor([2, 0]), tensor([0., inf], dtype=torch.float64))
    """

    def choose(self, rows: Rows, group: Tensor, *, budget: int, seed: int) -> Tensor:
        """Pick the row that is farthest from all picks, again and again."""
        del group
        greedy = LazyGreedy(rows, start=extreme_row(rows, seed=seed), purpose=repr(self))
        greedy.grow(budget)
        return greedy.indices
