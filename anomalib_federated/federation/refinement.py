"""A site's half of a refinement: more rows, where the federation's bank leaves its patches far away."""

from __future__ import annotations

import time

import torch
from torch import Tensor

from anomalib_federated.bank import BankError, Contribution, MemoryBank
from anomalib_federated.models.patch_collection import PatchCollection
from anomalib_federated.selection.budget import Budget
from anomalib_federated.selection.covering import measure_covering
from anomalib_federated.selection.distances import nearest
from anomalib_federated.selection.joined_rows import JoinedRows
from anomalib_federated.selection.lazy_greedy import LazyGreedy
from anomalib_federated.selection.rows import Rows, TensorRows

METHOD = "refinement"
"""How the rows were chosen, for the record."""


def more_rows(
    patches: PatchCollection, sent: MemoryBank, bank: MemoryBank, *, beyond: float, budget: Budget
) -> tuple[MemoryBank | None, dict[str, list[int]]]:
    """Greedy k-center that begins with the rows which the federation has, and ends when all patches are near.

    The federation has the global bank, and the rows that this site sent before, though not all of them are in the
    global bank. A patch is near if it is within ``beyond`` times the global bank's covering radius of a row of either.

    Args:
        patches: The site's patch features.
        sent: The bank that the site sent before.
        bank: The global bank, with its covering radius.
        beyond: Share of that radius; in (0, 1].
        budget: The most that the site sends of a category, with what it sent before.

    Returns:
        A bank of the new rows, ``None`` if there is none; and per category that got new rows, how many patches each row
        sent before stands for now. New and old rows together stand for all patches of the site: the contribution's
        radius and mean distance are theirs, and its rows are the new ones alone.

    Raises:
        BankError: If nobody measured how well the global bank covers a category of the site.
    """
    banks, weights = [], {}
    for category in sent.categories:
        if category in bank.categories:
            old, present = sent.for_category(category), bank.for_category(category)
            most = budget.limit(patches.patches(category)) - len(old)
            rows = patches.rows(category, picks=len(old) + len(present) + most)
            began = time.perf_counter()
            known = torch.cat([present.features.float(), old.features.float()])
            new = _far_rows(rows, known, radius=beyond * _radius(present), most=most)
            if len(new):
                more, weights[category] = _with_weights(old, rows, new, seconds=time.perf_counter() - began)
                banks.append(patches.with_groups(more, new))
    return MemoryBank.merge(banks) if banks else None, weights


def _radius(bank: MemoryBank) -> float:
    (category,) = bank.categories
    if category not in bank.covering_radius:
        msg = f"How well the global bank covers category '{category}' was not measured, so it cannot be refined."
        raise BankError(msg)
    return bank.covering_radius[category]


def _far_rows(rows: Rows, known: Tensor, *, radius: float, most: int) -> Tensor:
    """Numbers of at most ``most`` rows, so that all rows come within ``radius`` of those or of ``known``."""
    greedy = LazyGreedy(JoinedRows(TensorRows(known), rows), start=torch.arange(len(known)))
    greedy.grow(len(known) + most, radius=radius)
    return greedy.indices[len(known) :] - len(known)


def _with_weights(old: MemoryBank, rows: Rows, new: Tensor, *, seconds: float) -> tuple[MemoryBank, list[int]]:
    """A bank of the new rows, and what the old ones stand for beside them."""
    features = rows.take(new).to(old.features.dtype)
    both = torch.cat([old.features, features])
    covering = measure_covering(rows, both)
    counts = _at_least_one(covering.weights, both)
    (item,), (category,) = old.contributions, old.categories
    contribution = Contribution(
        site=item.site,
        category=category,
        images=item.images,
        patches=len(rows),
        rows=len(new),
        coreset=METHOD,
        covering_radius=covering.radius,
        mean_distance=covering.mean_distance,
        passes=rows.passes,
        seconds=seconds,
    )
    bank = MemoryBank(
        features=features,
        row_category=torch.zeros(len(new), dtype=torch.int32),
        row_site=torch.zeros(len(new), dtype=torch.int32),
        weights=counts[len(old) :],
        categories=old.categories,
        sites=old.sites,
        space=old.space,
        contributions=(contribution,),
        coresets={category: METHOD},
        covering_radius={},
    )
    return bank, counts[: len(old)].int().tolist()


def _at_least_one(counts: Tensor, features: Tensor) -> Tensor:
    """Patches that each row stands for: a row that got none, being equal to another, stands for itself instead."""
    none = counts == 0
    if not bool(none.any()):
        return counts
    twins = nearest(features[none], features[~none])[1]
    shared = counts.clone()
    shared[none] = 1
    shared[~none] -= torch.bincount(twins, minlength=int((~none).sum()))
    return shared.clamp_min(1)
