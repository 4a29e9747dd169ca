"""A coreset of the sites' coresets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from anomalib_federated import registry
from anomalib_federated.bank import MemoryBank
from anomalib_federated.bank.category_union import CategoryUnion
from anomalib_federated.interfaces.coreset import Coreset
from anomalib_federated.interfaces.strategy import BankStrategy
from anomalib_federated.selection.budget import BudgetLike
from anomalib_federated.selection.distances import nearest


class FederatedCoreset(BankStrategy):
    """Selects, per category, from the union of the site banks, down to a fixed budget.

    With greedy k-center at the sites and at the server, the covering radius over all sites' patches is at most four
    times the best possible for that budget (Malkomes et al. 2015, *Fast Distributed k-Center Clustering with Outliers
    on Massive Data*); how large it is, the sites measure afterwards.

    Args:
        budget: Rows per category: a number (int), a share of the rows received (float in (0, 1]), or a target radius
            within which these are covered, with a most; see :class:`anomalib_federated.selection.budget.Budget`.
        coreset: The coreset plugin, by name or as ``class_path`` and ``init_args``.
        seed: Decides every random choice of the coreset.
    """

    def __init__(
        self, *, budget: BudgetLike = 10_000, coreset: str | Mapping[str, Any] = "k_center", seed: int = 0
    ) -> None:
        super().__init__(seed=seed)
        self.coreset: Coreset = registry.build("coreset", coreset, budget=budget)
        self.method = registry.name_of(coreset, kind="coreset")
        self._spec = coreset

    def aggregate(self, banks: Sequence[MemoryBank]) -> MemoryBank:
        """The coreset of the union of the banks, one category after the other."""
        categories = sorted({category for bank in banks for category in bank.categories})
        return MemoryBank.merge(self._select(CategoryUnion(banks, category)) for category in categories)

    def coreset_of(self, rows: int) -> Coreset:
        """The coreset, for another number of rows; a target radius stays."""
        coreset: Coreset = registry.build("coreset", self._spec, budget=replace(self.coreset.budget, most=rows))
        return coreset

    def choose(self, union: CategoryUnion) -> Tensor:
        """Which rows of one category to keep.

        Args:
            union: The rows of all sites, site by site in the order of their names.

        Returns:
            Distinct row numbers of shape ``(k,)``, int64.
        """
        return self.coreset.select(union.rows, seed=self.seed).indices

    def kept(self, union: CategoryUnion, indices: Tensor) -> MemoryBank:
        """The bank of chosen rows of one category; they also stand for the patches of the rows that were dropped.

        Args:
            union: The rows of all sites.
            indices: Distinct row numbers of shape ``(k,)``, int64, ``k >= 1``.
        """
        kept = union.rows.take(indices)
        owner = torch.cat([nearest(block, kept)[1] for _, block in union.rows.blocks()])
        owner[indices] = torch.arange(len(indices))  # also beside its equals, a kept row stands for itself
        weights = torch.zeros(len(indices), dtype=torch.float64).index_add_(0, owner, union.weights.double()).float()
        return union.keep(indices, weights=weights, coreset=f"{self.method} of {union.coreset}")

    def _select(self, union: CategoryUnion) -> MemoryBank:
        return self.kept(union, self.choose(union))
