"""Groups of a bank's rows: those of the pictures that they are of, such as a line or an exposure.

Rows of which no group is told are of the group ``unnamed``, and a bank of no other group has none: it is written as
banks were before there were groups. So a bank without groups can be joined with one that has some, and taken apart
again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from anomalib_federated.bank.reindex import reindex
from anomalib_federated.bank.validation import check_index, check_name, refuse
from anomalib_federated.untrusted import shown

if TYPE_CHECKING:
    from anomalib_federated.bank.memory_bank import MemoryBank

UNNAMED = "unnamed"
"""Group of rows of which none is told."""
MAX_GROUPS = 10_000
"""How many groups one bank may hold."""
MAX_SITE_GROUPS = 100
"""How many a site may have, so that no site uses up the names of all."""


@dataclass(frozen=True, kw_only=True)
class GroupRows:
    """The rows of one group, of one site and category.

    Attributes:
        site: Name of the site.
        category: Name of the category.
        group: Name of the group.
        rows: Number of rows.
        patches: How many patches they stand for, of whatever groups these are.
    """

    site: str
    category: str
    group: str
    rows: int
    patches: float


def groups_in_use(row_group: Tensor | None, groups: Sequence[str], n: int) -> tuple[Tensor | None, tuple[str, ...]]:
    """The groups of a bank's rows in one form: names sorted, none without a row; nothing if all are unnamed.

    Args:
        row_group: As it was given; not trusted.
        groups: As they were given; not trusted.
        n: Number of rows.

    Raises:
        BankError: If one of the two is missing, a name is not valid or stands twice, there are too many, or
            ``row_group`` is not (n,) int32 with values that name one of them.

    Example:
        >>> groups_in_use(torch.tensor([2, 2, 0], dtype=torch.int32), ("light", "grey", "dark"), 3)
        (tensor([0, 0, 1], dtype=torch.int32), ('dark', 'light'))
    """
    if row_group is None and not groups:
        return None, ()
    if row_group is None or not groups:
        refuse("groups and row_group go together, but one of them is missing")
    if len(groups) > MAX_GROUPS:
        refuse(f"groups must be at most {MAX_GROUPS}, got {len(groups)}")
    for name in groups:
        check_name("a group", name)
    # No folder is named by a group, and sites name theirs apart from each other: "Dark" and "dark" are two.
    if len(set(groups)) != len(groups):
        refuse(f"groups must be distinct, got {shown(list(groups))}")
    check_index("row_group", row_group, n, len(groups))
    used = tuple(sorted(groups[number] for number in torch.unique(row_group).tolist()))
    if used == (UNNAMED,):
        return None, ()
    return (row_group if used == tuple(groups) else reindex(row_group, groups, used)), used


def union_of_groups(banks: Sequence[MemoryBank]) -> dict[str, Any]:
    """The arguments ``row_group`` and ``groups`` of the bank that holds the rows of several below each other.

    Args:
        banks: At least one; rows of those without groups are unnamed.
    """
    if all(bank.row_group is None for bank in banks):
        return {"row_group": None, "groups": ()}
    groups = tuple(sorted({name for bank in banks for name in bank.groups or (UNNAMED,)}))
    return {
        "row_group": torch.cat([reindex(_row_group(bank), bank.groups or (UNNAMED,), groups) for bank in banks]),
        "groups": groups,
    }


def with_groups(bank: MemoryBank, names: Sequence[str]) -> MemoryBank:
    """The bank with a group for each row.

    Args:
        bank: The bank; groups that it has are replaced.
        names: One per row.

    Raises:
        BankError: If a name is not valid, there are too many, or they are not as many as the rows.

    Example:
        >>> from anomalib_federated.testing import example_bank
        >>> bank = with_groups(example_bank(rows=3), ["light", "dark", "light"])
        >>> bank.groups, bank.row_group.tolist()
        (('dark', 'light'), [1, 0, 1])
    """
    groups = tuple(dict.fromkeys(names))
    numbers = {name: number for number, name in enumerate(groups)}
    return replace(bank, row_group=torch.tensor([numbers[name] for name in names], dtype=torch.int32), groups=groups)


def group_of_rows(bank: MemoryBank) -> list[str]:
    """The name of each row's group; ``unnamed`` if the bank has none."""
    names = bank.groups or (UNNAMED,)
    return [names[number] for number in _row_group(bank).tolist()]


def rows_by_group(bank: MemoryBank) -> list[GroupRows]:
    """How many rows there are of each group of each site and category, sorted by category, site and group.

    Returns:
        Nothing if the bank has no groups.

    Example:
        >>> from anomalib_federated.testing import example_bank
        >>> found = rows_by_group(with_groups(example_bank(rows=3), ["light", "dark", "light"]))
        >>> [(each.group, each.rows) for each in found]
        [('dark', 1), ('light', 2)]
    """
    if bank.row_group is None:
        return []
    which = torch.stack([bank.row_category, bank.row_site, bank.row_group], dim=1)
    found, owner = torch.unique(which, dim=0, return_inverse=True)
    rows = torch.bincount(owner)
    patches = torch.zeros(len(found), dtype=torch.float64).index_add_(0, owner, bank.weights.double())
    counted = [
        GroupRows(
            site=bank.sites[site],
            category=bank.categories[category],
            group=bank.groups[group],
            rows=int(rows[number]),
            patches=float(patches[number]),
        )
        for number, (category, site, group) in enumerate(found.tolist())
    ]
    return sorted(counted, key=lambda each: (each.category, each.site, each.group))


def _row_group(bank: MemoryBank) -> Tensor:
    return torch.zeros(len(bank), dtype=torch.int32) if bank.row_group is None else bank.row_group
