"""What sites can be compared by: how much of each cell of feature space every site sees, and what it looks like there.

Rows of two sites do not correspond: the tenth row of one has nothing to do with the tenth row of another. Cells do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median_low

import torch
from torch import Tensor

from anomalib_federated import registry
from anomalib_federated.bank import MemoryBank
from anomalib_federated.selection.distances import nearest
from anomalib_federated.selection.rows import TensorRows

ROWS_PER_CELL = 8
"""Of a middle site, on average at least; with fewer, chance decides whether a site has any in a cell."""


@dataclass(frozen=True, eq=False, kw_only=True)
class CellStatistics:
    """Statistics of cells, of sites and cells in this order.

    Attributes:
        cell: Shape ``(n,)``, int64: the cell of each row, of all sites below each other.
        shares: Shape ``(sites, cells)``, float64: of a site's patches, by the weights of its rows, those in a cell.
        means: Shape ``(sites, cells, d)``, float64: mean of the site's patches in the cell; 0 where it has none.
    """

    cell: Tensor
    shares: Tensor
    means: Tensor


def cell_statistics(banks: Mapping[str, MemoryBank], *, cells: int, seed: int) -> CellStatistics:
    """Divide feature space into cells, and describe what every site has in each.

    A cell is all that is nearer to its centre than to any other. Every site chooses equally many centres, of its own
    rows by greedy k-center: however many rows a site sends, and however far away, it has a say in no more than its
    part of the cells.

    Args:
        banks: Per site, its bank, of one category.
        cells: Most cells; fewer where a middle site has fewer than 8 rows for each.
        seed: Decides the first centre of each site.

    Example:
        >>> from anomalib_federated.testing import example_bank
        >>> banks = {site: example_bank(site=site, rows=40, seed=seed) for seed, site in enumerate("abc")}
        >>> found = cell_statistics(banks, cells=100, seed=0)
        >>> found.shares.shape, found.shares.sum(1).tolist()
        (torch.Size([3, 3]), [1.0, 1.0, 1.0])
    """
    most = min(cells, median_low(map(len, banks.values())) // ROWS_PER_CELL)
    coreset = registry.build("coreset", "k_center", budget=max(1, most // len(banks)))
    centres = torch.cat([_picked(bank, coreset.select(bank.features, seed=seed).indices) for bank in banks.values()])
    found, shares, means = [], [], []
    for bank in banks.values():
        cell = torch.cat([nearest(block, centres)[1] for _, block in TensorRows(bank.features).blocks()])
        weights = bank.weights.double()
        held = torch.zeros(len(centres), dtype=torch.float64).index_add_(0, cell, weights)
        sums = torch.zeros(len(centres), centres.shape[1], dtype=torch.float64)
        for which, block in TensorRows(bank.features).blocks():
            sums.index_add_(0, cell[which], block.double() * weights[which, None])
        found.append(cell)
        shares.append(held / held.sum())
        means.append(torch.where(held[:, None] > 0, sums / held[:, None], 0.0))
    return CellStatistics(cell=torch.cat(found), shares=torch.stack(shares), means=torch.stack(means))


def _picked(bank: MemoryBank, indices: Tensor) -> Tensor:
    return bank.features[indices].float()
