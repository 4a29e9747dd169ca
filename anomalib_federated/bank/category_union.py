"""The rows of one category of several sites, left where their banks have them: in memory or on disk."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from anomalib_federated.bank import MemoryBank
from anomalib_federated.bank.own_distance import check_plain
from anomalib_federated.bank.promises import union_of_privacy
from anomalib_federated.bank.row_groups import union_of_groups
from anomalib_federated.bank.validation import check_row_numbers
from anomalib_federated.selection.joined_rows import JoinedRows
from anomalib_federated.selection.rows import TensorRows


class CategoryUnion:
    """The rows of one category below each other, site by site, without a copy of them.

    Args:
        banks: One bank per site, all of one feature space; at least one has rows of the category.
        category: Its name.

    Attributes:
        banks: Per site that has rows of the category, the bank of these alone, in the order of the banks given.
        rows: The rows of all of them, as a coreset takes them.
        weights: Shape ``(n,)``, float32: how many patches each stands for.
        coreset: The methods that chose them.
        row_group: Shape ``(n,)``, int32: index into ``groups``; ``None`` if no bank tells groups.
        groups: Names of the groups of pictures that they are of, sorted.

    Raises:
        BankError: If a bank measures distances of the category in a way of its own, or two come with different promises
            about one site.

    Example:
        >>> from anomalib_federated.testing import example_bank
        >>> union = CategoryUnion([example_bank(site="a", rows=2), example_bank(site="b", rows=3)], "screw")
        >>> union.numbers["b"].tolist()
        [2, 3, 4]
        >>> union.keep(torch.tensor([4, 0]), weights=torch.ones(2), coreset="by hand").row_site.tolist()
        [1, 0]
    """

    def __init__(self, banks: Sequence[MemoryBank], category: str) -> None:
        self.category = category
        self.banks = {bank.sites[0]: bank.for_category(category) for bank in banks if category in bank.categories}
        check_plain(list(self.banks.values()), category)
        self.rows = JoinedRows(*(TensorRows(bank.features) for bank in self.banks.values()))
        self.weights = torch.cat([bank.weights for bank in self.banks.values()])
        self.coreset = " + ".join(dict.fromkeys(bank.coresets[category] for bank in self.banks.values()))
        told = union_of_groups(list(self.banks.values()))
        self.row_group: Tensor | None = told["row_group"]
        self.groups: tuple[str, ...] = told["groups"]
        self._sites = tuple(bank.sites[0] for bank in banks)
        self._space = banks[0].space
        self._privacy = union_of_privacy(banks)
        single = any(bank.features.dtype == torch.float32 for bank in banks)
        self._dtype = torch.float32 if single else torch.float16

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def numbers(self) -> dict[str, Tensor]:
        """Per site, the numbers of its rows, int64."""
        counts = [len(bank) for bank in self.banks.values()]
        return dict(zip(self.banks, torch.split(torch.arange(len(self)), counts), strict=True))

    def keep(self, indices: Tensor, *, weights: Tensor, coreset: str) -> MemoryBank:
        """The bank of some rows, in memory.

        Args:
            indices: Distinct row numbers of shape ``(k,)``, int64, ``k >= 1``.
            weights: Shape ``(k,)``, float32: how many patches each of them stands for now.
            coreset: What chose them.

        Returns:
            A bank of all the sites, those without a row in it included; float32 if any bank is.

        Raises:
            BankError: If the indices are not such numbers.
        """
        check_row_numbers(indices, len(self))
        row_site = torch.cat(
            [torch.full((len(bank),), self._sites.index(site), dtype=torch.int32) for site, bank in self.banks.items()]
        )
        return MemoryBank(
            features=self.rows.take(indices).to(self._dtype),
            row_category=torch.zeros(len(indices), dtype=torch.int32),
            row_site=row_site[indices],
            weights=weights,
            categories=(self.category,),
            sites=self._sites,
            space=self._space,
            contributions=tuple(item for bank in self.banks.values() for item in bank.contributions),
            coresets={self.category: coreset},
            covering_radius={},
            privacy=self._privacy,
            row_group=None if self.row_group is None else self.row_group[indices],
            groups=self.groups,
        )
