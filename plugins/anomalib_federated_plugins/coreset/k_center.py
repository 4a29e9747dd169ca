"""Greedy k-center: the farthest row, again and again."""

from __future__ import annotations

import torch

from anomalib_federated.interfaces.coreset import Coreset, Picks
from anomalib_federated.selection.lazy_greedy import LazyGreedy
from anomalib_federated.selection.rows import Rows


class KCenterCoreset(Coreset):
    """Picks the farthest row, again and again.

    The covering radius is at most twice the best possible for as many rows (Gonzalez 1985,
    https://doi.org/10.1016/0304-3975(85)90224-5).

    Args:
        budget: Rows (int), share of the rows (float in (0, 1]), or ``{"radius": R, "rows": MOST}``.

    Notes:
        Time ``O(n k d)`` in a few dozen matrix products; memory 12 bytes a row beside the rows themselves.

    Example:
        >>> import torch
        >>> line = torch.tensor([[0.0], [1.0], [2.0], [10.0]])
        >>> selection = KCenterCoreset(budget=2).select(line, start=0)
        >>> selection.indices, selection.radius, selection.weights
        (tensor([0, 3]), 2.0, tensor([3., 1.]))
        >>> len(KCenterCoreset(budget={"radius": 1.0}).select(line, start=0).indices)
        3
    """

    def pick(self, rows: Rows, *, seed: int, start: int | None) -> Picks:
        """Pick rows; without ``start``, the first is drawn by ``seed``."""
        first = first_pick(len(rows), seed=seed, start=start)
        greedy = LazyGreedy(rows, start=first, purpose=repr(self))
        greedy.grow(self.rows(len(rows)), radius=self.budget.radius)
        return Picks(greedy.indices, greedy.owner)


def first_pick(n: int, *, seed: int, start: int | None) -> int:
    """The row to begin with: ``start``, or one drawn by ``seed``."""
    if start is not None:
        return int(start)
    return int(torch.randint(n, (1,), generator=torch.Generator().manual_seed(seed)))
