"""The group of each patch of a collection: that of its picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from anomalib_federated.bank.row_groups import UNNAMED
from anomalib_federated.data.grouping import Grouping, Picture
from anomalib_federated.patch_store import StoredRows

if TYPE_CHECKING:
    from anomalib_federated.models.patch_collection import PatchCollection


@dataclass(frozen=True, eq=False, kw_only=True)
class PatchGroups:
    """The groups of the patches of one category.

    Attributes:
        names: Names of the groups, sorted; each has a patch.
        numbers: Shape ``(n,)``, int64: index into ``names`` of each patch, in the order of the collection's rows.
    """

    names: tuple[str, ...]
    numbers: Tensor

    @classmethod
    def all_one(cls, n: int) -> PatchGroups:
        """The group of ``n`` patches of which none is told."""
        return cls(names=(UNNAMED,), numbers=torch.zeros(n, dtype=torch.int64))

    def of_rows(self, rows: Tensor | None = None) -> list[str]:
        """The names of the groups of some patches, given their numbers of shape ``(m,)``, int64; by default of all."""
        return [self.names[number] for number in (self.numbers if rows is None else self.numbers[rows]).tolist()]


def find_groups(
    patches: PatchCollection, grouping: Grouping, pictures: Mapping[str, Picture]
) -> dict[str, PatchGroups]:
    """The groups of all patches, per category.

    Args:
        patches: A collection that is complete.
        grouping: Is fitted to its pictures first.
        pictures: By the name under which each is stored.

    Raises:
        GroupingError: If the group of a picture cannot be told.
    """
    rows = {category: patches.rows(category) for category in patches.categories}
    found = {
        category: [
            replace(pictures[stored.name], feature=_mean(own, number) if grouping.needs_features else None)
            for number, stored in enumerate(own.pictures)
        ]
        for category, own in rows.items()
    }
    everything = [picture for category in found for picture in found[category]]
    fitted = grouping.fit(everything)
    names = iter(fitted.names(everything))  # asked for all at once, so that they can be checked against each other
    return {
        category: _of_category([next(names) for _ in own], [stored.rows for stored in rows[category].pictures])
        for category, own in found.items()
    }


def _of_category(names: list[str], counts: list[int]) -> PatchGroups:
    """Of pictures of these groups and as many patches."""
    groups = tuple(sorted(set(names)))
    numbers = torch.tensor([groups.index(name) for name in names])
    return PatchGroups(names=groups, numbers=numbers.repeat_interleave(torch.tensor(counts)))


def _mean(rows: StoredRows, picture: int) -> Tensor:
    """The mean patch feature of a picture, shape ``(d,)``, float32."""
    return rows.grid(picture).mean((0, 1))
