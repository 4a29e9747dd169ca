"""The median over sites, of cells that they have in common."""

from __future__ import annotations

from anomalib_federated_plugins.strategy.robust_cells import RobustCells


class Median(RobustCells):
    """Keeps the cells in which the median site has patches, and their rows nearest to the coordinate-wise median.

    Of an even number of sites, the median is the mean of both in the middle: a cell stays if at least half of the
    sites have patches in it. The median is never taken of rows, which do not correspond; see :class:`RobustCells` for
    what it is taken of, and for all arguments. Yin et al. 2018, *Byzantine-Robust Distributed Learning*,
    https://arxiv.org/abs/1803.01498, have it of gradients.

    Example:
        >>> from dataclasses import replace
        >>> from anomalib_federated.testing import example_bank
        >>> good = [example_bank(site=site, seed=seed, rows=32) for seed, site in enumerate("abcd")]
        >>> bad = example_bank(site="z", seed=9, rows=32, offset=40.0)
        >>> "z" in {merged.sites[site] for merged in [Median().merge([*good, bad])] for site in merged.row_site}
        False
    """

    def cut(self, sites: int) -> int:
        """All but the one or two in the middle."""
        return (sites - 1) // 2
