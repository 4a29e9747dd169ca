"""New images for a bank that is there, without the old ones.

The old rows stay candidates, each for all the patches that it stands for, and the new images' patches join them; the
coreset selects from both. Old patches are never read again, so how well the new rows cover them is bounded, not
measured: by the triangle inequality, a patch within ``r`` of an old row that has a new row within ``s`` of it is within
``r + s`` of that new row.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from anomalib_federated.bank import BankError, Contribution, MemoryBank
from anomalib_federated.bank.own_distance import check_plain
from anomalib_federated.bank.row_groups import UNNAMED, group_of_rows, with_groups
from anomalib_federated.bank.validation import check_features
from anomalib_federated.interfaces.coreset import Coreset, Selection
from anomalib_federated.selection.distances import nearest
from anomalib_federated.selection.joined_rows import JoinedRows
from anomalib_federated.selection.rows import Rows, TensorRows, as_rows

HALF_ROUNDING = 2.0**-11
"""Largest relative error of a number rounded to float16."""
HALF_STEP = 2.0**-25
"""Largest absolute error of a tiny number rounded to float16."""


@dataclass(frozen=True, eq=False)
class _Nearest:
    """The nearest kept row of each candidate: which it is (int64) and how far away (float64), both ``(n,)``."""

    owner: Tensor
    distance: Tensor


def update_bank(
    bank: MemoryBank,
    features: Tensor | Rows,
    *,
    images: int,
    coreset: Coreset,
    method: str,
    seed: int = 0,
    groups: Sequence[str] | None = None,
) -> MemoryBank:
    """Add new images to a site's bank of one category.

    Args:
        bank: The bank so far, of one site and one category.
        features: Patch features of the new images, shape ``(n, d)``, floating dtype, finite, ``n >= 1``, in the bank's
            feature space.
        images: How many images these are.
        coreset: Selects from the old rows and the new patches together; its budget must be a number of rows.
        method: Name of the coreset, for the record.
        seed: Decides every random choice.
        groups: Name of the group of each new patch; ``None`` if the bank has no groups either.

    Returns:
        A bank like the old one. Images and patches of old and new add up, and so do the weights: a row that is dropped
        leaves its own to the nearest row kept. ``covering_radius`` and ``mean_distance`` are *upper bounds* over the
        old and new patches; ``passes`` and ``seconds`` are of this update.

    Raises:
        BankError: If the bank holds several sites or categories, comes with a promise about its pictures or measures
            distances in a way of its own, its covering radius was not measured, it has groups but the new patches have
            none, or a feature exceeds the range of its type.
        ValueError: If the features or groups are not as said above, or the budget is a share.

    Example:
        >>> from anomalib_federated import registry
        >>> from anomalib_federated.testing import example_bank
        >>> coreset = registry.build("coreset", "k_center", budget=10)
        >>> updated = update_bank(example_bank(), torch.randn(50, 8), images=2, coreset=coreset, method="k_center")
        >>> len(updated), updated.contributions[0].images
        (10, 18)
    """
    old = _check(bank, images=images, coreset=coreset)
    new = as_rows(features)
    names = _groups(bank, groups, new)
    candidates = JoinedRows(_OldRows(bank.features), new)
    selection = coreset.select(candidates, seed=seed)
    kept = candidates.take(selection.indices).to(bank.features.dtype)
    check_features(kept, bank.space.dim)
    found = _find_nearest(candidates, kept, selection.indices)
    weights = torch.cat([bank.weights.double(), torch.ones(len(new), dtype=torch.float64)])
    contribution = _contribution(bank, old, found, images=images, selection=selection, method=method)
    zeros = torch.zeros(len(kept), dtype=torch.int32)
    updated = replace(
        bank,
        features=kept,
        row_category=zeros,
        row_site=zeros.clone(),
        weights=torch.zeros(len(kept), dtype=torch.float64).index_add_(0, found.owner, weights).float(),
        contributions=(contribution,),
        coresets={contribution.category: contribution.coreset},
        covering_radius={contribution.category: _radius(bank, found)},
        row_group=None,
        groups=(),
    )
    return with_groups(updated, [names[row] for row in selection.indices.tolist()])


class _OldRows(TensorRows):
    def where(self, row: int) -> str:
        return f"row {row} of the old bank"


def _check(bank: MemoryBank, *, images: int, coreset: Coreset) -> Contribution:
    """What the bank's only site contributed to its only category."""
    if len(bank.sites) != 1 or len(bank.categories) != 1:
        msg = (
            f"A bank is updated for one site and one category at a time, but this holds sites {', '.join(bank.sites)} "
            f"and categories {', '.join(bank.categories)}; update the bank of one site, then merge those of all sites."
        )
        raise BankError(msg)
    if bank.privacy:
        msg = (
            f"Something was promised about the pictures behind the bank of site '{bank.sites[0]}', which would not be "
            "true of new ones; build it again from all images, and protect that."
        )
        raise BankError(msg)
    check_plain([bank], bank.categories[0])
    told = bank.covering_radius and bank.contributions[0].mean_distance is not None
    if not told or len(bank) != bank.contributions[0].rows:
        msg = (
            f"How well the bank of site '{bank.sites[0]}', category '{bank.categories[0]}' covers its patches was not "
            "measured, so it cannot be updated; take the bank as its site built it."
        )
        raise BankError(msg)
    if isinstance(coreset.budget.most, float) and coreset.budget.most < 1:
        msg = (
            f"A bank cannot be updated with a share of {coreset.budget.most} as budget, since its old patches are "
            "gone; give a number of rows."
        )
        raise ValueError(msg)
    if isinstance(images, bool) or not isinstance(images, int) or images < 1:
        msg = f"The number of new images is {images!r}; give a whole number of at least 1."
        raise ValueError(msg)
    return bank.contributions[0]


def _groups(bank: MemoryBank, groups: Sequence[str] | None, new: Rows) -> list[str]:
    """The group of each candidate: old rows, then new patches."""
    if bank.groups and groups is None:
        msg = (
            f"The bank of site '{bank.sites[0]}' has the groups {', '.join(bank.groups)}, but those of the new images "
            "are not told; say how they are grouped."
        )
        raise BankError(msg)
    names = [UNNAMED] * len(new) if groups is None else list(groups)
    if len(names) != len(new):
        msg = f"There are groups of {len(names)} new patches, but {len(new)} new patches; give one of each."
        raise ValueError(msg)
    return group_of_rows(bank) + names


def _find_nearest(candidates: Rows, kept: Tensor, indices: Tensor) -> _Nearest:
    """Read all candidates once; a kept row stands for itself, even beside its equals."""
    owner = torch.full((len(candidates),), -1)
    owner[indices] = torch.arange(len(indices))
    distance = torch.empty(len(candidates), dtype=torch.float64)
    for which, block in candidates.blocks():
        rows = kept.to(block.device, torch.float32)
        own = owner[which].to(block.device)
        mine = torch.where(own >= 0, own, nearest(block, rows)[1])
        owner[which] = mine.cpu()
        distance[which] = (block.double() - rows[mine].double()).norm(dim=1).cpu()
    return _Nearest(owner, distance)


def _contribution(
    bank: MemoryBank, old: Contribution, found: _Nearest, *, images: int, selection: Selection, method: str
) -> Contribution:
    """What the site has contributed with the new images."""
    moved, new = _moved(bank, found), found.distance[len(bank) :]
    old_total = (old.mean_distance or 0.0) * old.patches + float((moved * bank.weights).sum())
    return Contribution(
        site=old.site,
        category=old.category,
        images=old.images + images,
        patches=old.patches + len(new),
        rows=len(selection.indices),
        coreset=method if method.endswith(", updated") else f"{method}, updated",
        covering_radius=_radius(bank, found),
        mean_distance=(old_total + float(new.sum())) / (old.patches + len(new)),
        passes=selection.passes + 1,
        seconds=selection.seconds,
    )


def _moved(bank: MemoryBank, found: _Nearest) -> Tensor:
    """How far each old row is from the kept row that stands for it, at most; float64."""
    return found.distance[: len(bank)] + _rounding(bank.features)


def _radius(bank: MemoryBank, found: _Nearest) -> float:
    """How far any old or new patch is from a kept row, at most."""
    (old,) = bank.covering_radius.values()
    return max(float(found.distance[len(bank) :].max()), old + float(_moved(bank, found).max()))


def _rounding(rows: Tensor) -> Tensor:
    """How far each row may be from what it was when its radius was measured, before it was rounded to float16."""
    if rows.dtype != torch.float16:
        return torch.zeros(len(rows), dtype=torch.float64)
    relative: Tensor = rows.double().norm(dim=1) * (HALF_ROUNDING / (1 - HALF_ROUNDING))
    return relative + HALF_STEP * math.sqrt(rows.shape[1])
