"""A coreset of each site's rows, as large as the site is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from anomalib_federated.bank.category_union import CategoryUnion
from anomalib_federated.selection.budget import BudgetLike
from anomalib_federated.selection.budget_shares import proportional_shares
from anomalib_federated_plugins.strategy.federated_coreset import FederatedCoreset
from anomalib_federated_plugins.strategy.site_shares import choose_shares

SIZES = ("images", "patches")


class Weighted(FederatedCoreset):
    """Shares the budget of a category among its sites in proportion to what they saw of it.

    Each share is selected from the rows of its site alone: a site's rows decide nothing about those of another. Every
    site keeps at least one row; a site that sent fewer rows than its share keeps all, and the others share the rest.

    Args:
        budget: Rows per category: a number (int), a share of the rows received (float in (0, 1]), or
            ``{"radius": R, "rows": MOST}``: each site then keeps no more rows than cover its own within ``R``.
        by: What a site's share is in proportion to: the ``images`` or the ``patches`` that it saw.
        coreset: The coreset plugin, by name or as ``class_path`` and ``init_args``.
        seed: Decides every random choice of the coreset.

    Raises:
        ValueError: If ``by`` is neither; when banks are merged, if there are more sites than rows in the budget.

    Example:
        >>> from anomalib_federated.testing import example_bank
        >>> banks = [example_bank(site="a", rows=30), example_bank(site="b", rows=10, seed=1)]
        >>> Weighted(budget=8).merge(banks).row_site.bincount().tolist()
        [6, 2]
    """

    def __init__(
        self,
        *,
        budget: BudgetLike = 10_000,
        by: str = "images",
        coreset: str | Mapping[str, Any] = "k_center",
        seed: int = 0,
    ) -> None:
        super().__init__(budget=budget, coreset=coreset, seed=seed)
        if by not in SIZES:
            msg = f"The strategy weighs sites by {by!r}; give one of {', '.join(SIZES)}."
            raise ValueError(msg)
        self.by = by
        self.method = f"weighted {self.method}"

    def choose(self, union: CategoryUnion) -> Tensor:
        """Which rows of one category to keep: of each site its share."""
        held = {site: len(bank) for site, bank in union.banks.items()}
        sizes = [getattr(bank.contributions[0], self.by) for bank in union.banks.values()]
        shares = proportional_shares(self.coreset.rows(len(union)), sizes, limits=list(held.values()))
        return choose_shares(union, dict(zip(held, shares, strict=True)), self.coreset_of, seed=self.seed)
