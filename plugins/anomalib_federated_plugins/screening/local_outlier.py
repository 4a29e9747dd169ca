"""Rows that lie in thin air between the rows of other sites."""

from __future__ import annotations

from collections.abc import Sequence

from anomalib_federated.bank import MemoryBank
from anomalib_federated.interfaces.screening import Refusal, Screening
from anomalib_federated_plugins.screening.arguments import check_number
from anomalib_federated_plugins.screening.between_sites import LEAST_SHARE, refuse_all, share_within
from anomalib_federated_plugins.screening.local_outlier_factor import SiteNeighbours

FEWEST_SITES = 3


class LocalOutlier(Screening):
    """Refuses rows whose local outlier factor among the rows of *other* sites is unusually large.

    A row is compared with its nearest rows at other sites: how far it is from them, and how far these are from theirs.
    So a thin region of normal features may be left as thin as it is, where a radius would have to be wide enough for
    the thinnest. SoftPatch (Jiang et al. 2022, https://arxiv.org/abs/2403.14233) cleans one site's patches so; here a
    site cannot vouch for itself.

    What is usual follows from third sites: a share ``typical`` of the rows of a site ``j`` has a factor up to some
    value, among the rows of all sites but ``j`` and the one that is judged; the largest of these values, over all
    ``j``, is the limit. A site therefore has no part in the limit by which it is judged.

    It sees whitelisting and all else that lies apart from the other sites' rows, as long as one site is bad. Of two bad
    sites each can open the door for the other: they vouch for each other if they send the same defect, and where one
    sends a twentieth of rows far from everything, which are refused, the limit by which the other is judged lets all
    pass (``cell_quorum`` with a quorum of 3 withstands two). A bad site that crowds rows beside those of an honest one
    makes these look thin, so that some may be refused; ``finite_and_norm`` before it takes out what is nearly equal.
    Its price are modes that are honest, but which one site alone sees.

    Args:
        neighbors: Rows of other sites that a row is compared with, at least 1.
        typical: Share of a site's rows that is taken to be usual among the others, from 0.01 to 1.

    Raises:
        ValueError: If an argument is impossible.

    Example:
        >>> import torch
        >>> from dataclasses import replace
        >>> from anomalib_federated.testing import example_bank
        >>> good = [example_bank(site=site, seed=seed) for seed, site in enumerate("abcd")]
        >>> features = torch.cat([good[0].features[:12], good[0].features[12:] + 9])
        >>> bad = replace(example_bank(site="z", seed=9), features=features)
        >>> [(each.site, int(each.rows.sum())) for each in LocalOutlier(typical=1.0).screen([*good, bad])]
        [('z', 4)]
    """

    def __init__(self, *, neighbors: int = 5, typical: float = 0.95) -> None:
        if isinstance(neighbors, bool) or not isinstance(neighbors, int) or neighbors < 1:
            msg = f"The screening's neighbors is {neighbors!r}; give a whole number of rows of at least 1."
            raise ValueError(msg)
        self.neighbors = neighbors
        self.typical = check_number("typical", typical, least=LEAST_SHARE, most=1.0)

    def screen(self, banks: Sequence[MemoryBank]) -> list[Refusal]:
        """Refuse outliers; all rows if there are too few sites to know what one is."""
        sites = range(len(banks))
        if len(banks) < FEWEST_SITES or sum(sorted(map(len, banks))[:-2]) < 2:
            reason = (
                f"what an outlier is follows from {FEWEST_SITES} sites at least, of which any one has 2 rows; there "
                f"are {len(banks)} sites with {sum(map(len, banks))} rows"
            )
            return refuse_all(banks, reason=reason)
        neighbours = SiteNeighbours(banks, count=self.neighbors)
        refusals = []
        for judged in sites:
            others = [site for site in sites if site != judged]
            limit = max(
                share_within(neighbours.factors(third, among=[site for site in others if site != third]), self.typical)
                for third in others
            )
            factors = neighbours.factors(judged, among=others)
            rows = factors > limit
            if bool(rows.any()):
                reason = (
                    f"{int(rows.sum())} rows have a local outlier factor among those of other sites above {limit:.3g}: "
                    f"{float(factors[rows].median()):.3g} in the middle, {float(factors.max()):.3g} the most"
                )
                refusals.append(Refusal(site=banks[judged].sites[0], rows=rows, reason=reason))
        return refusals
