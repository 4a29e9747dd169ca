"""Greedy k-center, exact and lazy.

Greedy k-center (Gonzalez 1985, https://doi.org/10.1016/0304-3975(85)90224-5) picks the row that is farthest from all
rows picked so far, again and again; its covering radius is at most twice the best possible. Done naively, every pick
passes over all rows. Here one pass serves hundreds of picks: the farthest rows are gathered in a pool, and as long as
the farthest of the pool is at least as far as any row outside it, greedy needs to look at the pool alone, because
distances to the picked set only ever shrink. Then one matrix product updates all rows. The picks are those of the naive
method, up to the order of ties in floating point.
"""

from __future__ import annotations

import torch
from torch import Tensor

from anomalib_federated.distances import nearest_in_chunks, squared_distances
from anomalib_federated.interfaces.coreset import Coreset, Selection
from anomalib_federated.progress import progress_bar

POOL = 512
"""Rows in the pool: its square of distances (1 MB) stays in cache, and a pass serves several hundred picks."""


class KCenterCoreset(Coreset):
    """Picks the farthest row, again and again.

    Args:
        budget: Number of rows (int) or share of the rows (float in (0, 1]).

    Notes:
        Time ``O(n k d)`` in a few dozen matrix products, memory ``O(n d)`` for a centred float32 copy of the features.

    Example:
        >>> import torch
        >>> line = torch.tensor([[0.0], [1.0], [2.0], [10.0]])
        >>> selection = KCenterCoreset(budget=2).select(line, start=0)
        >>> selection.indices, selection.radius, selection.weights
        (tensor([0, 3]), 2.0, tensor([3., 1.]))
    """

    def select(self, features: Tensor, *, seed: int = 0, start: int | None = None) -> Selection:
        """Pick rows; without ``start``, the first is drawn by ``seed``."""
        self.check(features, start)
        if start is None:
            start = int(torch.randint(len(features), (1,), generator=torch.Generator().manual_seed(seed)))
        # Distances do not change when all rows move together; around the mean, products lose fewer digits.
        rows = features.float() - features.float().mean(0)
        picks = _greedy(rows, self.rows(len(rows)), start)
        return Selection(picks.indices.cpu(), float(picks.squared.max().clamp_min(0).sqrt()), picks.weights())


class _Picks:
    """The rows picked so far, and for every row its squared distance to the nearest pick and which pick that is."""

    def __init__(self, rows: Tensor) -> None:
        self.rows = rows
        self.norms = rows.pow(2).sum(1)
        self.indices = torch.empty(0, dtype=torch.int64, device=rows.device)
        self.squared = torch.full((len(rows),), float("inf"), device=rows.device)
        self.owner = torch.zeros(len(rows), dtype=torch.int64, device=rows.device)

    def add(self, new: Tensor) -> None:
        """Pick the rows ``new`` (int64 row numbers) and update all distances in one pass."""
        offset = len(self.indices)
        for chunk, squared, owner in nearest_in_chunks(self.rows, self.norms, self.rows[new]):
            closer = squared < self.squared[chunk]
            self.squared[chunk] = torch.where(closer, squared, self.squared[chunk])
            self.owner[chunk] = torch.where(closer, owner + offset, self.owner[chunk])
        self.indices = torch.cat([self.indices, new])
        # A pick stands for itself, even beside its equals; a distance below zero keeps it from being picked twice.
        self.squared[new] = -1.0
        self.owner[new] = torch.arange(offset, len(self.indices), device=new.device)

    def weights(self) -> Tensor:
        """Number of rows nearest to each pick, shape ``(k,)``, float32."""
        return torch.bincount(self.owner, minlength=len(self.indices)).float().cpu()


def _greedy(rows: Tensor, k: int, start: int) -> _Picks:
    picks = _Picks(rows)
    picks.add(torch.tensor([start], device=rows.device))
    with progress_bar(f"k-center of {len(rows)} rows", total=k) as advance:
        while len(picks.indices) < k:
            new = _greedy_in_pool(picks, k - len(picks.indices))
            picks.add(new)
            advance(len(new))
    return picks


def _greedy_in_pool(picks: _Picks, limit: int) -> Tensor:
    """The next picks, as many as can be told from the farthest rows alone; at least one, at most ``limit``."""
    size = min(POOL + 1, len(picks.rows))
    farthest, pool = picks.squared.topk(size)
    # The pool's own last row stands for the best of all rows outside it.
    outside = float(farthest[-1]) if size < len(picks.rows) else -2.0
    pool = pool.sort().values  # among equals, the first row wins, as in a plain arg max
    squared = picks.squared[pool].cpu()
    between = squared_distances(picks.rows[pool], picks.rows[pool]).cpu()
    chosen: list[int] = []
    while len(chosen) < limit:
        farthest_now, position = squared.max(0)
        if chosen and float(farthest_now) < outside:
            break
        chosen.append(int(position))
        squared = torch.minimum(squared, between[chosen[-1]])
        squared[chosen[-1]] = -1.0
    return pool[torch.tensor(chosen, device=pool.device)]
