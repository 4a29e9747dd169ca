"""Greedy k-center, exact and lazy: the engine behind the k-center plugins, and behind a site's part of a refinement.

Greedy k-center (Gonzalez 1985, https://doi.org/10.1016/0304-3975(85)90224-5) picks the row that is farthest from all
rows picked so far, again and again; its covering radius is at most twice the best possible. Done naively, every pick
passes over all rows. Here one pass serves hundreds of picks: the farthest rows are gathered in a pool, and as long as
the farthest of the pool is farther than any row outside it, greedy needs to look at the pool alone, because distances
to the picked set only ever shrink. Then one matrix product updates all rows.

Distances of all rows are float32 products; those in the pool, which decide, are float64 differences. So the picks are
those of the naive method in float64, except where two distances agree to within the rounding of float32.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from anomalib_federated.progress import progress_bar
from anomalib_federated.selection.greedy_state import GreedyState
from anomalib_federated.selection.nearest_pick import PRODUCT_WIDTH, NearestPick
from anomalib_federated.selection.rows import Rows

SMALLEST_POOL, LARGEST_POOL = 512, 4096
"""Rows in the pool; its square of distances (float64) should stay small beside a pass over all rows."""
ROWS_PER_POOL_ROW = 256
"""A pool grows with the rows, since many of the farthest rows lie beside each other."""


class LazyGreedy:
    """Greedy k-center over rows, to be continued as far as is asked.

    If the rows have a state file, what was picked is kept there from time to time; an interrupted computation goes on
    from it and ends with the same picks.

    Args:
        rows: Finite features of shape ``(n, d)``.
        start: First pick, or all that are picked already: distinct row numbers of shape ``(m,)``, int64.
        purpose: All else that decides the picks; what was kept for another purpose is not used.

    Attributes:
        indices: Picks so far, shape ``(k,)``, int64.
        heights: Distance of each pick to those before it, shape ``(k,)``, float64; infinite for those given.

    Example:
        >>> from anomalib_federated.selection.rows import TensorRows
        >>> greedy = LazyGreedy(TensorRows(torch.tensor([[0.0], [1.0], [2.0], [10.0]])), start=0)
        >>> greedy.grow(2)
        >>> greedy.indices, greedy.radius
        (tensor([0, 3]), 2.0)
        >>> greedy = LazyGreedy(TensorRows(torch.tensor([[0.0], [1.0], [2.0], [10.0]])), start=torch.tensor([0, 3]))
        >>> greedy.grow(3)
        >>> greedy.indices
        tensor([0, 3, 2])
    """

    def __init__(self, rows: Rows, *, start: int | Tensor, purpose: str = "") -> None:
        first = torch.as_tensor(start).reshape(-1)
        self._near = NearestPick(rows)
        self._state = GreedyState(rows.state, meaning=f"{rows.shape} from {first.tolist()}: {purpose}")
        self.indices = torch.empty(0, dtype=torch.int64)
        self.heights = torch.empty(0, dtype=torch.float64)
        if kept := self._state.load():
            self.indices, self.heights, self._near.squared, self._near.owner = kept
            self._near.picked = rows.take(self.indices)
        else:
            self._add(first, torch.full((len(first),), float("inf"), dtype=torch.float64))

    @property
    def owner(self) -> Tensor:
        """Number of the nearest pick of each row, shape ``(n,)``, int32."""
        return self._near.owner

    @property
    def squared(self) -> Tensor:
        """Squared distance of each row to its nearest pick, shape ``(n,)``, float32; -1 for the picks themselves."""
        return self._near.squared

    @property
    def radius(self) -> float:
        """Covering radius of the picks so far, to the precision of float32 products."""
        return float(self.squared.max().clamp_min(0).sqrt())

    def radius_after(self, count: int) -> float:
        """Covering radius of the first ``count`` picks: at most as many as there are, no fewer than were given."""
        return float(self.heights[count]) if count < len(self.heights) else self.radius

    def grow(self, most: int, *, radius: float | None = None) -> None:
        """Pick on.

        Args:
            most: Number of picks at which to stop.
            radius: Covering radius at which to stop before that; without one, not even equals of picks are left out.
        """
        target = -1.0 if radius is None else radius**2
        with progress_bar(f"k-center of {len(self.squared)} rows", total=most) as advance:
            advance(len(self.indices))
            while len(self.indices) < most and float(self.squared.max()) > target:
                new, heights = self._next_picks(most - len(self.indices), target)
                self._add(new, heights)
                self._state.save_now_and_then(self.indices, self.heights, self.squared, self.owner)
                advance(len(new))

    def _next_picks(self, most: int, target: float) -> tuple[Tensor, Tensor]:
        """The next picks and their heights: as many as can be told from the farthest rows alone, at least one."""
        size = min(max(SMALLEST_POOL, len(self.squared) // ROWS_PER_POOL_ROW), LARGEST_POOL)
        pool, outside = self._near.farthest(size)
        # A pick stands for itself, even beside its equals; a distance below zero keeps it from being picked twice.
        features = self._near.rows.take(pool)
        squared = torch.where(self.squared[pool] < 0, -1.0, self._near.exact(pool, features))
        points = features.double() - self._near.centre
        positions, picked = greedy_in_pool(points, squared, outside=max(outside, target), most=most)
        return pool[positions], picked.sqrt()

    def _add(self, new: Tensor, heights: Tensor) -> None:
        """Pick the rows ``new``."""
        offset = len(self.indices)
        self._near.add(self._near.rows.take(new))
        self.indices = torch.cat([self.indices, new])
        self.heights = torch.cat([self.heights, heights])
        self._near.squared[new] = -1.0
        self._near.owner[new] = torch.arange(offset, len(self.indices), dtype=torch.int32)


def greedy_in_pool(points: Tensor, squared: Tensor, *, outside: float, most: int) -> tuple[Tensor, Tensor]:
    """Greedy picks for as long as the pool alone can tell them.

    Args:
        points: Rows of the pool, shape ``(p, d)``, float64, near the origin.
        squared: Their squared distances to all picks so far, shape ``(p,)``, float64.
        outside: Picks whose squared distance does not exceed this are not certain: only the first may.
        most: Largest number of picks.

    Returns:
        Positions in the pool, in the order of picking, at least one, and the squared distance of each to all picks
        before it. If there is a choice where to stop, their number is a multiple of :data:`PRODUCT_WIDTH`.
    """
    norms = points.pow(2).sum(1)
    # numpy's calls cost less than torch's, of which each pick takes three.
    between = torch.addmm(norms[:, None] + norms, points, points.T, alpha=-2).clamp_min_(0).numpy()
    distances = squared.numpy().copy()
    chosen: list[int] = []
    heights: list[float] = []
    while len(chosen) < most:
        position = int(distances.argmax())
        farthest = float(distances[position])
        # The first needs no proof: no row outside can beat it by more than rounding.
        if chosen and farthest <= outside:
            whole = len(chosen) // PRODUCT_WIDTH * PRODUCT_WIDTH
            chosen = chosen[: whole or None]
            break
        chosen.append(position)
        heights.append(max(0.0, farthest))
        np.minimum(distances, between[position], out=distances)
        distances[position] = -1.0
    return torch.tensor(chosen), torch.tensor(heights[: len(chosen)], dtype=torch.float64)
