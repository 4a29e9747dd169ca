"""A coreset of all sites' rows in which no site goes under."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from anomalib_federated.bank.category_union import CategoryUnion
from anomalib_federated.selection.budget import Budget, BudgetLike
from anomalib_federated.selection.budget_shares import check_everybody_gets
from anomalib_federated.selection.lazy_greedy import LazyGreedy
from anomalib_federated_plugins.strategy.federated_coreset import FederatedCoreset
from anomalib_federated_plugins.strategy.site_shares import choose_shares


class DiversityPreserving(FederatedCoreset):
    """Keeps rows of every site, then covers by greedy k-center what these leave uncovered.

    Of ``budget`` rows of a category and ``s`` sites that sent any, an equal part is ``budget // s`` rows. Of so many,
    each site keeps ``minimum_share``, at least one row, selected from its own; a site that sent fewer keeps all. If
    that leaves ``m`` rows of the budget, greedy k-center picks them from the rows of all sites, beginning with the row
    that is farthest from those kept: every row received is then within twice the best covering radius of ``m`` rows.

    Args:
        budget: Rows per category: a number (int), a share of the rows received (float in (0, 1]), or
            ``{"radius": R, "rows": MOST}``: each site's own rows, and then all, are covered within ``R`` with no more
            rows than that takes.
        minimum_share: Of an equal part of the budget, what each site surely keeps; in (0, 1].
        coreset: The coreset plugin that selects what each site surely keeps, by name or as ``class_path`` and
            ``init_args``.
        seed: Decides every random choice of the coreset.

    Raises:
        ValueError: If the minimum share is impossible; when banks are merged, if there are more sites than rows in the
            budget.

    Example:
        >>> from anomalib_federated.testing import example_bank
        >>> banks = [example_bank(site="a", rows=90), example_bank(site="b", rows=10, seed=1)]
        >>> merged = DiversityPreserving(budget=8, minimum_share=1.0).merge(banks)
        >>> merged.row_site.bincount().tolist()
        [4, 4]
    """

    def __init__(
        self,
        *,
        budget: BudgetLike = 10_000,
        minimum_share: float = 0.5,
        coreset: str | Mapping[str, Any] = "k_center",
        seed: int = 0,
    ) -> None:
        super().__init__(budget=budget, coreset=coreset, seed=seed)
        if isinstance(minimum_share, bool) or not isinstance(minimum_share, float | int) or not 0 < minimum_share <= 1:
            msg = f"The strategy's minimum_share is {minimum_share!r}; give a number in (0, 1]."
            raise ValueError(msg)
        self.minimum_share = float(minimum_share)
        self.method = f"diversity-preserving {self.method}"

    def choose(self, union: CategoryUnion) -> Tensor:
        """Which rows of one category to keep: of each site its minimum, then what these do not cover."""
        if self.coreset.keeps_all(len(union)):
            return torch.arange(len(union))
        budget, sites = self.coreset.rows(len(union)), union.banks
        check_everybody_gets(1, budget, [len(bank) for bank in sites.values()])
        least = Budget(most=self.minimum_share).limit(budget // len(sites))
        kept = choose_shares(union, dict.fromkeys(sites, least), self.coreset_of, seed=self.seed)
        greedy = LazyGreedy(union.rows, start=kept)
        greedy.grow(budget, radius=self.coreset.budget.radius)
        return greedy.indices
