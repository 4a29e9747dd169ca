"""Greedy k-center that goes on until a union of such coresets is nearly as good as one coreset of all rows.

Ceccarello, Pietracaprina, Pucci 2019 (https://doi.org/10.14778/3317315.3317319), the MapReduce algorithm. Let greedy on
a site's rows have the radius ``r_k`` after ``k`` picks, and go on until its radius is at most ``epsilon / 2 * r_k``.
Then greedy for ``k`` rows on the union of all sites' picks covers all rows of all sites within ``(2 + epsilon) opt``,
where ``opt`` is the best radius of ``k`` rows for all of them:

- a site's ``k + 1`` first rows lie ``r_k`` apart and two share a centre of the best ``k``, so ``r_k <= 2 opt``, and no
  row is farther than ``epsilon * opt`` from its site's picks;
- likewise the radius of greedy over the union is at most ``2 opt``.

With ``epsilon = 2`` a site stops at ``k`` picks: the factor 4 of Malkomes et al. 2015.
"""

from __future__ import annotations

import logging

from anomalib_federated.interfaces.coreset import Coreset, Picks
from anomalib_federated.selection.budget import BudgetLike
from anomalib_federated.selection.lazy_greedy import LazyGreedy
from anomalib_federated.selection.rows import Rows
from anomalib_federated_plugins.coreset.k_center import first_pick

logger = logging.getLogger(__name__)

ROUNDING = 1 + 1e-6
"""A radius that was computed anew, by products of other shapes, may come out a little larger."""


class KCenterMergeableCoreset(Coreset):
    """Picks for a site of a federation: more rows than the global bank will keep, so that merging costs little.

    The global coreset of ``final_rows`` rows has at most ``2 + epsilon`` times the best possible covering radius over
    the rows of all sites, if no site's budget ran out before. The log tells the epsilon that was reached.

    Args:
        budget: The most rows to send: rows (int), a share of the rows (float in (0, 1]), or
            ``{"radius": R, "rows": MOST}``. Fewer are sent where ``epsilon`` is reached before.
        final_rows: Rows of the global coreset.
        epsilon: How close to the factor 2 of one coreset of all rows to come; in (0, 2].

    Raises:
        ValueError: If an argument is impossible.

    Example:
        >>> import torch
        >>> line = torch.arange(9.0)[:, None]
        >>> selection = KCenterMergeableCoreset(budget=8, final_rows=2, epsilon=0.5).select(line, start=0)
        >>> selection.indices, selection.radius  # 4 after two picks, a quarter of it after five
        (tensor([0, 8, 4, 2, 6]), 1.0)
    """

    def __init__(self, *, budget: BudgetLike, final_rows: int = 10_000, epsilon: float = 1.0) -> None:
        super().__init__(budget=budget)
        if isinstance(final_rows, bool) or not isinstance(final_rows, int) or final_rows < 1:
            msg = f"final_rows is {final_rows!r}; give the number of rows of the global coreset, at least 1."
            raise ValueError(msg)
        if not 0 < epsilon <= 2:
            msg = f"epsilon is {epsilon!r}; give a number in (0, 2], since 2 is reached by final_rows rows."
            raise ValueError(msg)
        self.final_rows = final_rows
        self.epsilon = float(epsilon)

    def keeps_all(self, n: int) -> bool:
        """Only where the global bank could: otherwise a budget above ``n`` still ends at ``epsilon``."""
        return super().keeps_all(n) and self.final_rows >= n

    def pick(self, rows: Rows, *, seed: int, start: int | None) -> Picks:
        """Pick rows; without ``start``, the first is drawn by ``seed``."""
        most = self.rows(len(rows))
        first = first_pick(len(rows), seed=seed, start=start)
        greedy = LazyGreedy(rows, start=first, purpose=repr(self))
        greedy.grow(min(self.final_rows, most), radius=self.budget.radius)
        of_final = greedy.radius_after(min(self.final_rows, most))  # of a resumed selection, too
        if most > self.final_rows:
            greedy.grow(most, radius=max(self.budget.radius or 0.0, self.epsilon / 2 * of_final * ROUNDING))
        self._tell(len(greedy.indices), of_final=of_final, reached=greedy.radius)
        return Picks(greedy.indices, greedy.owner)

    def _tell(self, picked: int, *, of_final: float, reached: float) -> None:
        if picked < self.final_rows:
            logger.info("%d picks, fewer than the final %d rows, cover within %.4g", picked, self.final_rows, reached)
            return
        epsilon = 2 * reached / of_final if of_final > 0 else 0.0
        logger.info("%d picks reach epsilon %.3g: the union of such sites' picks gives a coreset of %d rows within "
                    "%.3g times the best radius", picked, epsilon, self.final_rows, 2 + epsilon)  # fmt: skip
        if epsilon > self.epsilon and self.budget.radius is None:
            logger.warning("The budget of %d rows ran out before epsilon %.3g; allow more", picked, self.epsilon)
