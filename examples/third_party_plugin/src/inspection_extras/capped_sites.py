"""A coreset of what the sites sent, of which no site may keep more than a given number of rows."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from anomalib_federated import registry
from anomalib_federated.bank import MemoryBank
from anomalib_federated.bank.category_union import CategoryUnion
from anomalib_federated.interfaces.strategy import BankStrategy
from anomalib_federated.selection.distances import nearest


class CappedSites(BankStrategy):
    """Keeps at most so many rows per site and category, chosen from that site's rows alone.

    The global bank grows with the number of sites, and no site can crowd out another, however much it sends.

    Args:
        most_per_site: Rows per site and category, at least 1.
        coreset: Name of the coreset plugin that chooses them.
        seed: Decides every random choice of the coreset.

    Raises:
        ValueError: If ``most_per_site`` is below 1.

    Example:
        >>> from anomalib_federated.testing import example_bank
        >>> banks = [example_bank(site="a", rows=30), example_bank(site="b", rows=5, seed=1)]
        >>> CappedSites(most_per_site=8).merge(banks).row_site.bincount().tolist()
        [8, 5]
    """

    def __init__(self, *, most_per_site: int = 5_000, coreset: str = "k_center", seed: int = 0) -> None:
        super().__init__(seed=seed)
        if most_per_site < 1:
            msg = f"The strategy capped_sites keeps at most {most_per_site} rows per site; give 1 or more."
            raise ValueError(msg)
        self.most_per_site = most_per_site
        self.coreset = coreset

    def aggregate(self, banks: Sequence[MemoryBank]) -> MemoryBank:
        """The capped rows of all sites, one category after the other."""
        categories = sorted({category for bank in banks for category in bank.categories})
        return MemoryBank.merge(self._of_category(CategoryUnion(banks, category)) for category in categories)

    def _of_category(self, union: CategoryUnion) -> MemoryBank:
        chosen, weights = [], []
        choose = registry.build("coreset", self.coreset, budget=self.most_per_site)
        for site, bank in union.banks.items():
            indices = choose.select(bank.features, seed=self.seed).indices
            # A kept row also stands for the patches of the rows of its site that it is nearest to.
            owner = nearest(bank.features, bank.features[indices])[1]
            owner[indices] = torch.arange(len(indices))
            weights.append(torch.zeros(len(indices)).index_add_(0, owner, bank.weights))
            chosen.append(union.numbers[site][indices])
        method = f"{self.most_per_site} per site, {self.coreset} of {union.coreset}"
        return union.keep(torch.cat(chosen), weights=torch.cat(weights), coreset=method)
