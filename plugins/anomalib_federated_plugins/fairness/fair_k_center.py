"""Fair k-center: cover all rows as well as exact quotas of each group allow."""

from __future__ import annotations

import torch
from torch import Tensor

from anomalib_federated.interfaces.fairness import Fairness
from anomalib_federated.selection.joined_rows import JoinedRows
from anomalib_federated.selection.lazy_greedy import LazyGreedy
from anomalib_federated.selection.rows import Rows, TensorRows
from anomalib_federated.selection.subset_rows import SubsetRows
from anomalib_federated_plugins.fairness.quotas import checked_minimum, equal_quotas, proportional_quotas
from anomalib_federated_plugins.fairness.shifting import shift_to_quotas
from anomalib_federated_plugins.fairness.within_group import extreme_row

QUOTAS = {"equal": equal_quotas, "proportional": proportional_quotas}


class FairKCenter(Fairness):
    """Keeps exactly its quota of each group, and covers all rows, by rows of *any* group, within 3 times the best.

    The method is that of Jones, Nguyen & Nguyen, *Fair k-Centers via Maximum Matching*, ICML 2020
    (https://proceedings.mlr.press/v119/jones20a.html):

    1. Greedy k-center ignores the groups. Its first ``h`` picks, the *heads*, are ``d_h`` apart or more.
    2. Each head is exchanged for a row of some group within less than ``d_h / 2`` of it, so that no quota is exceeded:
       a maximum matching of heads and groups. It is made for the largest ``h`` for which there is one, and for this
       with the smallest possible shift.
    3. Groups that are left with fewer rows than their quota are filled up by farthest-first.

    Why 3: let ``r`` be the best radius under the quotas. If ``r < d_h / 2``, the balls of radius ``r`` around the heads
    are disjoint and each holds a row of the best choice, so these match, and the shift is at most ``r``; if not, it is
    below ``d_h / 2 <= r`` anyway. No matching for ``h + 1`` means ``d_(h + 1) <= 2 r``, which is how well the heads
    covered. Together that makes ``3 r``, and filling up only improves it.

    This is for groups whose rows may stand for those of other groups, as lightings or sites of one category do. Where
    they may not, as with categories, take ``min_max`` or ``equal``.

    Args:
        quotas: ``equal``, or ``proportional`` to the groups' sizes. A group never gets more rows than it has; the
            others share what it leaves.
        minimum: Rows that every group surely keeps, or all that it has.

    Raises:
        ValueError: If the quotas are neither, or the minimum is no whole number of at least 0; in a selection, if the
            budget is too small for the minimum.

    Notes:
        Time ``O(n k d)`` in matrix products, twice, and some thirty maximum flows of ``k m`` edges for ``m`` groups;
        memory ``O(n + k (d + m))`` beside the rows.

    Example:
        >>> line = torch.tensor([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]])
        >>> selection = FairKCenter().select(line, torch.tensor([0, 0, 0, 0, 1, 0]), budget=2)
        >>> selection.quotas, selection.radius
        (tensor([1, 1]), tensor([2., 0.], dtype=torch.float64))
    """

    def __init__(self, *, quotas: str = "equal", minimum: int = 1) -> None:
        if quotas not in QUOTAS:
            msg = f"The quotas of the fairness rule are {quotas!r}; give one of {', '.join(QUOTAS)}."
            raise ValueError(msg)
        self.quotas = quotas
        self.minimum = checked_minimum(minimum)

    def choose(self, rows: Rows, group: Tensor, *, budget: int, seed: int) -> Tensor:
        """Greedy heads, shifted to where quotas allow, then filled up."""
        quotas = QUOTAS[self.quotas](torch.bincount(group).tolist(), budget, minimum=self.minimum)
        greedy = LazyGreedy(rows, start=extreme_row(rows, seed=seed), purpose=repr(self))
        greedy.grow(budget)
        chosen = shift_to_quotas(rows, group, greedy.indices, greedy.heights, quotas)
        for number, quota in enumerate(quotas):
            missing = quota - int((group[chosen] == number).sum())
            chosen = torch.cat([chosen, _farthest_of_group(rows, group == number, chosen, missing, seed=seed)])
        return chosen


def _farthest_of_group(rows: Rows, belongs: Tensor, chosen: Tensor, count: int, *, seed: int) -> Tensor:
    """More rows of one group: each the farthest from all that are chosen, of any group."""
    members = belongs.nonzero().flatten()
    if not count:
        return members[:0]
    position = torch.full((len(belongs),), -1)
    position[members] = torch.arange(len(members))
    own, foreign = chosen[belongs[chosen]], chosen[~belongs[chosen]]
    group_rows = SubsetRows(rows, members)
    # Rows of other groups stand behind those of this one, and are all picked already.
    pool = JoinedRows(group_rows, TensorRows(rows.take(foreign))) if len(foreign) else group_rows
    start = torch.cat([position[own], len(members) + torch.arange(len(foreign))])
    given = len(start)
    if not given:
        start = torch.tensor([extreme_row(group_rows, seed=seed)])
    greedy = LazyGreedy(pool, start=start)
    greedy.grow(given + count)
    return members[greedy.indices[given:]]
