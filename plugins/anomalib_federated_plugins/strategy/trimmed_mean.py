"""The trimmed mean over sites, of cells that they have in common."""

from __future__ import annotations

import math

from anomalib_federated.selection.budget import SHARE_ROUNDING, BudgetLike
from anomalib_federated_plugins.strategy.robust_cells import RobustCells


class TrimmedMean(RobustCells):
    """Keeps the cells in which more sites than are trimmed have patches, and their rows nearest to the trimmed mean.

    With one site trimmed, a cell stays if two sites have patches in it. The mean is never taken of rows, which do not
    correspond; see :class:`RobustCells` for what it is taken of, and for all other arguments. Yin et al. 2018,
    *Byzantine-Robust Distributed Learning*, https://arxiv.org/abs/1803.01498, have it of gradients.

    Args:
        budget: Rows per category: a number (int) or a share of the rows received (float in (0, 1]).
        trim: Share of the sites left out at either end, rounded down, in (0, 0.5); of three sites and more, one at
            either end at least.
        cells: Most cells; fewer where a middle site has fewer than 8 rows for each.
        seed: Decides the first centre of each site.

    Raises:
        ValueError: If an argument is impossible.

    Example:
        >>> [TrimmedMean(trim=0.2).cut(sites) for sites in (1, 2, 3, 6, 10)]
        [0, 0, 1, 1, 2]
    """

    def __init__(self, *, budget: BudgetLike = 10_000, trim: float = 0.2, cells: int = 256, seed: int = 0) -> None:
        super().__init__(budget=budget, cells=cells, seed=seed)
        if isinstance(trim, bool) or not isinstance(trim, int | float) or not 0 < trim < 0.5:
            msg = f"The strategy's trim is {trim!r}; give a number between 0 and 0.5."
            raise ValueError(msg)
        self.trim = float(trim)

    def cut(self, sites: int) -> int:
        """The share, at least one of three sites, and never all."""
        return min(max(1, math.floor(self.trim * sites + SHARE_ROUNDING)), (sites - 1) // 2)
