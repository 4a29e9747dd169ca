"""A coreset of all sites' rows, chosen by a rule that is fair to groups: sites, categories, or groups of pictures."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from anomalib_federated import registry
from anomalib_federated.bank import BankError, MemoryBank
from anomalib_federated.bank.category_union import CategoryUnion
from anomalib_federated.interfaces.fairness import Fairness
from anomalib_federated.selection.budget_shares import check_everybody_gets
from anomalib_federated.selection.joined_rows import JoinedRows
from anomalib_federated.selection.rows import Rows
from anomalib_federated.selection.subset_rows import SubsetRows
from anomalib_federated_plugins.fairness.within_group import extreme_row
from anomalib_federated_plugins.strategy.federated_coreset import FederatedCoreset

logger = logging.getLogger(__name__)

GROUPED_BY = ("site", "category", "group")


class FairCoreset(FederatedCoreset):
    """Selects from the union of the site banks by a fairness rule.

    What the groups are, ``group_by`` says:

    - ``site``: those of a category are the sites that sent rows of it, and each category has the budget for itself.
    - ``group``: those of a category are the groups of pictures that the sites named, such as lines or exposures, and
      each category has the budget for itself. Groups of one name are one group, whichever sites have it.
    - ``category``: all categories share *one* budget, and are the groups. A picture is compared with rows of its own
      category alone, so a category is covered by no row of another: take a rule that looks at each group's own radius
      (``min_max``), or at least at its rows (``equal``, ``proportional``). Every category keeps at least one row: where
      the rule keeps none, one of its rows replaces the latest pick of a category that has several.

    Args:
        budget: Rows per category, or of all categories together if they are the groups: a number (int), or a share of
            the rows received (float in (0, 1]).
        fairness: The fairness plugin, by name or as ``class_path`` and ``init_args``.
        group_by: ``site``, ``category`` or ``group``.
        seed: Decides every random choice of the rule.

    Raises:
        ValueError: If the budget is neither, or groups are by something else; when banks are merged, if the rule cannot
            share so few rows.
        BankError: When banks are merged, if groups of pictures are wanted and a site named none.

    Example:
        >>> from anomalib_federated.testing import example_bank
        >>> banks = [example_bank(site="a", rows=90), example_bank(site="b", rows=10, seed=1)]
        >>> merged = FairCoreset(budget=8, fairness="equal").merge(banks)
        >>> merged.row_site.bincount().tolist(), merged.coresets
        ([4, 4], {'screw': 'equal by site of example'})
    """

    def __init__(
        self,
        *,
        budget: int | float = 10_000,
        fairness: str | Mapping[str, Any] = "fair_k_center",
        group_by: str = "site",
        seed: int = 0,
    ) -> None:
        super().__init__(budget=budget, seed=seed)
        if self.coreset.budget.radius is not None:
            msg = f"A fair coreset shares a number of rows, not the target {budget!r}; give an int or a share."
            raise ValueError(msg)
        if group_by not in GROUPED_BY:
            msg = f"The strategy groups by {group_by!r}; give one of {', '.join(GROUPED_BY)}."
            raise ValueError(msg)
        self.fairness: Fairness = registry.build("fairness", fairness)
        self.group_by = group_by
        self.method = f"{registry.name_of(fairness, kind='fairness')} by {group_by}"

    def aggregate(self, banks: Sequence[MemoryBank]) -> MemoryBank:
        """The fair coreset of the union of the banks: of each category, or of all together."""
        if self.group_by != "category":
            return super().aggregate(banks)
        categories = sorted({category for bank in banks for category in bank.categories})
        return self._of_all([CategoryUnion(banks, category) for category in categories])

    def choose(self, union: CategoryUnion) -> Tensor:
        """Which rows of one category to keep."""
        return self._fair(union.rows, _sites(union) if self.group_by == "site" else _picture_groups(union))

    def _fair(self, rows: Rows, group: Tensor) -> Tensor:
        return self.fairness.select(rows, group, budget=self.coreset.rows(len(rows)), seed=self.seed).indices

    def _of_all(self, unions: Sequence[CategoryUnion]) -> MemoryBank:
        """The bank of all categories, whose rows share one budget."""
        counts = [len(union) for union in unions]
        rows, group = JoinedRows(*(union.rows for union in unions)), _numbered(counts)
        names = [union.category for union in unions]
        chosen = _one_of_each(names, rows, group, self._fair(rows, group), seed=self.seed)
        begins = accumulate(counts, initial=0)
        return MemoryBank.merge(
            self.kept(union, chosen[group[chosen] == number] - begin)
            for number, (union, begin) in enumerate(zip(unions, begins, strict=False))
        )


def _numbered(counts: Sequence[int]) -> Tensor:
    """As many times 0 as the first count says, then 1, and so on."""
    return torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))


def _sites(union: CategoryUnion) -> Tensor:
    return _numbered([len(bank) for bank in union.banks.values()])


def _picture_groups(union: CategoryUnion) -> Tensor:
    without = [site for site, bank in union.banks.items() if bank.row_group is None]
    if without or union.row_group is None:
        msg = (
            f"Site '{without[0]}' does not say of which groups its rows of '{union.category}' are; let it build its "
            "bank with a grouping of its pictures, or set group_by: site."
        )
        raise BankError(msg)
    return union.row_group.long()


def _one_of_each(names: Sequence[str], rows: Rows, group: Tensor, chosen: Tensor, *, seed: int) -> Tensor:
    """The chosen rows, with one of each group that had none instead of the latest picks of those that have several.

    Raises:
        ValueError: If there are more groups than rows chosen.
    """
    counts = torch.bincount(group[chosen], minlength=int(group.max()) + 1)
    check_everybody_gets(1, len(chosen), counts.clamp_min(1).tolist(), of="categories")
    for number in (counts == 0).nonzero().flatten().tolist():
        members = (group == number).nonzero().flatten()
        added = members[extreme_row(SubsetRows(rows, members), seed=seed)].reshape(1)
        gives_way = int((counts[group[chosen]] > 1).nonzero().max())
        counts[group[chosen[gives_way]]] -= 1
        counts[number] = 1
        chosen = torch.cat([chosen[:gives_way], chosen[gives_way + 1 :], added])
        logger.warning(
            "The fairness rule keeps no row of '%s'; one of its rows replaces the latest pick", names[number]
        )
    return chosen
