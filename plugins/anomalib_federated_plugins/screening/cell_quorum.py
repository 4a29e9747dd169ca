"""A region of feature space is normal only if several sites say so."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from anomalib_federated.bank import MemoryBank
from anomalib_federated.interfaces.screening import Refusal, Screening
from anomalib_federated_plugins.screening.arguments import check_number
from anomalib_federated_plugins.screening.between_sites import (
    LEAST_SHARE,
    distances_between_sites,
    refuse_all,
    share_within,
)


class CellQuorum(Screening):
    """Refuses rows that lie in no cell of enough other sites.

    The cell of a site is all that lies within a reach of one of its rows. A row is admitted if it lies in the cells of
    ``quorum - 1`` other sites: then, with its own, ``quorum`` sites have seen the like.

    The reach of a site comes from how far *third* sites are from it. Of a site ``j``, a share ``typical`` of the rows
    lies within some distance of the nearest row of ``k``; when rows of site ``i`` are judged, the reach of ``k`` is the
    ``(quorum - 1)``-th largest of these distances over all ``j`` other than ``i`` and ``k``. From this it follows:

    - A site does not move the reach by which its own rows are judged, and it never vouches for itself.
    - As long as fewer than ``quorum`` sites are bad, each row that is admitted lies within a reach of an *honest* site
      that is no larger than what some honest site sets.
    - One more site, honest or bad, only adds cells and widens reaches: nobody can have rows of others refused.

    It sees whitelisting, stealth, noise, scaling, a backdoor: all that lies beyond what other sites see. It does not
    see an attacker who stays within that, a step of at most one reach from honest rows. Its price are modes that are
    honest, but which one site alone sees.

    Args:
        quorum: How many sites must have seen the like, at least 2: one more than there may be bad sites.
        typical: Share of a site's rows that is taken to be near other sites, from 0.01 to 1.

    Raises:
        ValueError: If an argument is impossible.

    Example:
        >>> from dataclasses import replace
        >>> from anomalib_federated.testing import example_bank
        >>> good = [example_bank(site=site, seed=seed) for seed, site in enumerate("abcd")]
        >>> features = torch.cat([good[0].features[:12], good[0].features[12:] + 9])
        >>> bad = replace(example_bank(site="z", seed=9), features=features)
        >>> [(each.site, int(each.rows.sum())) for each in CellQuorum(typical=1.0).screen([*good, bad])]
        [('z', 4)]
    """

    def __init__(self, *, quorum: int = 2, typical: float = 0.75) -> None:
        if isinstance(quorum, bool) or not isinstance(quorum, int) or quorum < 2:
            msg = f"The screening's quorum is {quorum!r}; give a whole number of sites of at least 2."
            raise ValueError(msg)
        self.quorum = quorum
        self.typical = check_number("typical", typical, least=LEAST_SHARE, most=1.0)

    def screen(self, banks: Sequence[MemoryBank]) -> list[Refusal]:
        """Refuse rows without a quorum; all rows if there are too few sites to reach one, or to know the reach.

        With ``quorum`` sites or fewer, nobody is left to say how far apart sites usually are. Whoever wants rows of a
        category that so few sites have leaves this screening out.
        """
        if len(banks) <= self.quorum:
            reason = (
                f"a quorum of {self.quorum} needs rows of {self.quorum + 1} sites at least, and there are {len(banks)}"
            )
            return refuse_all(banks, reason=reason)
        distances = distances_between_sites(banks)
        typical = _typical(distances, self.typical)
        refusals = []
        for number, bank in enumerate(banks):
            reach = self._reach(typical, number)
            votes = (distances[number] <= reach[:, None]).sum(0)
            rows = votes < self.quorum - 1
            if bool(rows.any()):
                reason = self._reason(distances[number][:, rows], votes[rows], reach)
                refusals.append(Refusal(site=bank.sites[0], rows=rows, reason=reason))
        return refusals

    def _reach(self, typical: Tensor, judged: int) -> Tensor:
        """Reach of each site when a site is judged, shape ``(sites,)``; that of the judged site serves nobody."""
        third = typical.clone()
        third[judged] = -1.0
        third.fill_diagonal_(-1.0)
        return third.sort(0, descending=True).values[self.quorum - 2]

    def _reason(self, distances: Tensor, votes: Tensor, reach: Tensor) -> str:
        nearest, which = distances.min(0)
        return (
            f"{distances.shape[1]} rows lie in cells of {int(votes.max())} or fewer other sites, {self.quorum - 1} are "
            f"needed: the middle one is {float(nearest.median()):.3g} from the nearest row of any, whose reach is "
            f"{float(reach[which].median()):.3g}"
        )


def _typical(distances: Sequence[Tensor], share: float) -> Tensor:
    """Of each site (first index), within what distance of each other site such a share of its rows lies."""
    sites = len(distances)
    return torch.tensor(
        [[share_within(distances[j][k], share) if j != k else -1.0 for k in range(sites)] for j in range(sites)]
    )
