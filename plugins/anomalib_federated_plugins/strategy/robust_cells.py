"""Robust statistics over sites, of cells that all sites have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from anomalib_federated.bank import MemoryBank
from anomalib_federated.bank.category_union import CategoryUnion
from anomalib_federated.interfaces.strategy import BankStrategy, FederationError
from anomalib_federated.selection.budget import Budget, BudgetLike
from anomalib_federated.selection.budget_shares import proportional_shares
from anomalib_federated.selection.distances import nearest
from anomalib_federated_plugins.strategy.cell_statistics import CellStatistics, cell_statistics


class RobustCells(BankStrategy):
    """Keeps the cells of feature space that robust statistics over the sites find occupied; base of such strategies.

    Per category:

    1. Feature space is divided into cells, in which every site has an equal say, see
       :func:`anomalib_federated_plugins.strategy.cell_statistics.cell_statistics`.
    2. Of every cell, the robust share is the trimmed mean over *all* sites of the share of their patches that lies in
       it: the :meth:`cut` smallest and as many of the largest are left out. Cells of which it is 0 go, with all their
       rows: too few sites have anything there.
    3. Of every cell that stays, the robust centre is the trimmed mean, coordinate by coordinate, of the means of those
       sites that have rows in it.
    4. The budget is shared equally among the cells that stay, as far as they have rows (cells of the largest robust
       shares come first if there are more cells than rows in the budget). A cell keeps the rows nearest to its centre.

    Every row that was sent, those of cells that went included, counts to the weight of the nearest row that is kept.

    A category of one site or two has nobody to outvote: the mean of their statistics is taken, so that all cells stay.
    Robustness lies in step 2; rows of a bad site that lie in a cell of others may stay, near its centre first.

    Args:
        budget: Rows per category: a number (int) or a share of the rows received (float in (0, 1]).
        cells: Most cells; fewer where a middle site has fewer than 8 rows for each.
        seed: Decides the first centre of each site.

    Raises:
        ValueError: If the budget or the number of cells is impossible.
    """

    def __init__(self, *, budget: BudgetLike = 10_000, cells: int = 256, seed: int = 0) -> None:
        super().__init__(seed=seed)
        self.budget = Budget.of(budget)
        if self.budget.radius is not None:
            msg = f"The strategy {type(self).__name__} covers no radius; give a number or a share of rows as budget."
            raise ValueError(msg)
        if isinstance(cells, bool) or not isinstance(cells, int) or cells < 1:
            msg = f"The strategy's cells is {cells!r}; give a whole number of at least 1."
            raise ValueError(msg)
        self.cells = cells

    @abstractmethod
    def cut(self, sites: int) -> int:
        """How many of the smallest values of so many sites are left out, and of the largest; fewer than half."""

    def aggregate(self, banks: Sequence[MemoryBank]) -> MemoryBank:
        """Rows of the cells that stay, one category after the other.

        Raises:
            FederationError: If no cell of a category stays.
        """
        categories = sorted({category for bank in banks for category in bank.categories})
        return MemoryBank.merge(self._of_category(CategoryUnion(banks, category)) for category in categories)

    def _of_category(self, union: CategoryUnion) -> MemoryBank:
        statistics = cell_statistics(union.banks, cells=self.cells, seed=self.seed)
        indices = self._choose(union, statistics)
        kept = union.rows.take(indices)
        owner = torch.cat([nearest(block, kept)[1] for _, block in union.rows.blocks()])
        owner[indices] = torch.arange(len(indices))  # also beside its equals, a kept row stands for itself
        weights = torch.zeros(len(indices), dtype=torch.float64).index_add_(0, owner, union.weights.double()).float()
        return union.keep(indices, weights=weights, coreset=f"{type(self).__name__.lower()} of {union.coreset}")

    def _choose(self, union: CategoryUnion, statistics: CellStatistics) -> Tensor:
        """Numbers of the rows that are kept, cell by cell, the nearest to its centre first."""
        share = trimmed_mean(statistics.shares, self.cut(len(statistics.shares)))
        order = share.argsort(descending=True, stable=True)
        budget = self.budget.limit(len(union))
        staying = order[: min(budget, int((share > 0).sum()))]
        if not len(staying):
            msg = (
                f"Too few of the {len(union.banks)} sites with rows of category '{union.category}' see the same: no "
                f"cell of {len(share)} stays. Give fewer cells, or another strategy."
            )
            raise FederationError(msg)
        rows = [(statistics.cell == cell).nonzero().flatten() for cell in staying]
        quotas = proportional_shares(budget, [1] * len(rows), limits=list(map(len, rows)))
        return torch.cat([
            self._nearest_to_centre(union, numbers, statistics, int(cell))[:quota]
            for cell, numbers, quota in zip(staying, rows, quotas, strict=True)
        ])  # fmt: skip

    def _nearest_to_centre(self, union: CategoryUnion, rows: Tensor, statistics: CellStatistics, cell: int) -> Tensor:
        """The rows of a cell, in the order of their distance to its robust centre."""
        present = statistics.means[statistics.shares[:, cell] > 0, cell]
        centre = trimmed_mean(present, self.cut(len(present)))
        distances = (union.rows.take(rows).double() - centre).pow(2).sum(1)
        return rows[distances.argsort(stable=True)]


def trimmed_mean(values: Tensor, cut: int) -> Tensor:
    """Mean over the first axis, coordinate by coordinate, without the smallest and the largest values of each.

    Args:
        values: Shape ``(sites, ...)``, floating dtype.
        cut: How many of the smallest are left out, and as many of the largest; ``2 * cut < sites``.

    Example:
        >>> trimmed_mean(torch.tensor([[1.0], [2.0], [6.0], [90.0]]), 1)
        tensor([4.])
    """
    return values.sort(0).values[cut : len(values) - cut].mean(0)
