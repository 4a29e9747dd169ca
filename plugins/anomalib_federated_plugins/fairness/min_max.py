"""The worst group's own covering radius, as small as the budget allows."""

from __future__ import annotations

import torch
from torch import Tensor

from anomalib_federated.interfaces.fairness import Fairness
from anomalib_federated.selection.budget_shares import check_everybody_gets
from anomalib_federated.selection.rows import Rows
from anomalib_federated_plugins.fairness.within_group import cover_group


class MinMax(Fairness):
    """Gives the next row to the group whose own covering radius is largest, again and again.

    A group's own radius is the largest distance of its rows to the nearest row kept of the *same* group, and its next
    row is the one at this distance. The worst group's own radius is then at most twice the best that any choice of as
    many rows can reach, with whatever quotas:

    Let it be ``R`` in the end. Every row was picked at a distance of at least ``R`` from the rows of its group that
    were picked before, since radii only shrink and the largest was extended. With the row that is left at distance
    ``R``, there are ``k + 1`` rows of which any two of one group are at least ``R`` apart. Whatever ``k`` rows somebody
    keeps, two of the ``k + 1`` have the same nearest row of their own group among them. So they are of one group, and
    one of them is at least ``R / 2`` away from it.

    It is farthest-first (Gonzalez 1985, https://doi.org/10.1016/0304-3975(85)90224-5) over all rows, with an infinite
    distance between rows of different groups: the farthest of all rows is then the farthest of the worst group, and a
    group without a row is infinitely bad. Hence each group's picks are those of k-center over its rows alone, and only
    how many of them are kept depends on the others. A wide group gets more rows than a narrow one, however many rows
    either has; a single far outlier costs others a row, too.

    Notes:
        Time ``O(n k d)`` in matrix products: each group is covered as if it had the budget alone, then the groups'
        picks are taken in the order of their distances.

    Example:
        >>> line = torch.tensor([[0.0], [1.0], [2.0], [10.0], [50.0], [51.0]])
        >>> selection = MinMax().select(line, torch.tensor([0, 0, 0, 0, 1, 1]), budget=3)
        >>> selection.quotas, selection.own_radius
        (tensor([2, 1]), tensor([2., 1.], dtype=torch.float64))
    """

    minimum = 1

    def choose(self, rows: Rows, group: Tensor, *, budget: int, seed: int) -> Tensor:
        """Merge the groups' picks, those at the largest distances first.

        Raises:
            ValueError: If there are more groups than rows in the budget.
        """
        sizes = torch.bincount(group).tolist()
        check_everybody_gets(self.minimum, budget, sizes, of="groups")
        picks, distances = [], []
        for number, size in enumerate(sizes):
            members = (group == number).nonzero().flatten()
            greedy = cover_group(rows, members, min(size, budget - len(sizes) + 1), seed=seed)
            picks.append(members[greedy.indices])
            distances.append(greedy.heights.cummin(0).values)  # rounding must not let a later pick go before an earlier
        order = torch.cat(distances).argsort(descending=True, stable=True)
        return torch.cat(picks)[order[:budget]]
