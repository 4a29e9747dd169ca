"""Smaller banks that keep scores: distances in fewer dimensions, and rows left out that decide nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from anomalib_federated.bank import MemoryBank
from anomalib_federated.bank.own_distance import has_own_distance
from anomalib_federated.models import FederatedPatchcore
from anomalib_federated.models.patch_features import patch_rows
from anomalib_federated.models.principal_directions import principal_directions
from anomalib_federated.selection.distances import squared_distances

SPARE = 16
"""Nearest rows of each patch that pruning knows of; one of them stays."""


class CompressionError(ValueError):
    """A bank cannot be compressed as wished."""


def pca(bank: MemoryBank, *, width: int) -> MemoryBank:
    """Measure the distances of each category along the directions in which its rows vary most.

    What lies across these directions is lost to every distance, so scores become smaller: set thresholds anew.

    Args:
        bank: The bank; its rows stay as they are.
        width: Number of directions, fewer than the feature dimensions.

    Returns:
        A bank with a projection of each category.

    Raises:
        CompressionError: If a category has a projection already, or the width is impossible.

    Example:
        >>> from anomalib_federated.testing import example_bank
        >>> pca(example_bank(rows=20), width=3).projections["screw"].shape
        torch.Size([8, 3])
    """
    _check_width(bank, width)
    return _projected(bank, {name: _principal(bank.for_category(name).features, width) for name in bank.categories})


def orthogonal(bank: MemoryBank, *, width: int, seed: int = 0) -> MemoryBank:
    """Measure the distances of each category in a random subspace, stretched so that they keep their size on average.

    Args:
        bank: The bank; its rows stay as they are.
        width: Dimensions of the subspace, fewer than the feature dimensions.
        seed: Decides the subspace, the same for all categories.

    Returns:
        A bank with a projection of each category.

    Raises:
        CompressionError: If a category has a projection already, or the width is impossible.

    Example:
        >>> from anomalib_federated.testing import example_bank
        >>> projection = orthogonal(example_bank(rows=20), width=2).projections["screw"]
        >>> torch.allclose(projection.T @ projection, 4 * torch.eye(2), atol=1e-5)
        True
    """
    _check_width(bank, width)
    dim = bank.space.dim
    drawn = torch.randn(dim, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    basis = torch.linalg.qr(drawn).Q * (dim / width) ** 0.5
    return _projected(bank, dict.fromkeys(bank.categories, basis.float()))


@dataclass(frozen=True, kw_only=True)
class Pruned:
    """A bank with rows left out.

    Attributes:
        bank: What is left of it.
        dropped: Per category, how many rows were left out.
    """

    bank: MemoryBank
    dropped: dict[str, int]


def prune(model: FederatedPatchcore, pictures: Mapping[str, Sequence[Tensor]], *, tolerance: float) -> Pruned:
    """Leave out rows whose loss takes no patch of given normal pictures farther from its nearest row than a tolerance.

    So neither a score nor a map of these pictures changes by more. Rows are tried one after the other, those nearest to
    the fewest patches first. A row that is nearest to no patch of the pictures stays: they do not tell whether it is
    needed. So give pictures of all kinds, best those trained on.

    Args:
        model: The detector, with a bank and thresholds; left as it is.
        pictures: Per category, normal pictures: pixels in 0 .. 1, each ``(3, height, width)``.
        tolerance: The most by which a patch's distance may grow, as a share of the category's image threshold.

    Raises:
        CompressionError: If a category has no pictures, rows have places or are told apart by site, or the rule
            ``reweighted`` scores by the rows around the nearest.
    """
    if not 0 < tolerance < 1:
        msg = f"The tolerance of pruning is {tolerance}; give a share of the threshold between 0 and 1."
        raise CompressionError(msg)
    scorer = model.scorer
    if model.bank.row_place is not None or scorer.image_score.rule == "reweighted" or scorer.site_quorum > 1:
        msg = (
            "Rows that count at places, are weighted by their neighbours, or count by site cannot be pruned; leave "
            "pruning out."
        )
        raise CompressionError(msg)
    kept, dropped = [], {}
    for number, category in enumerate(model.bank.categories):
        if not pictures.get(category):
            msg = f"Pruning needs normal pictures of category '{category}'; give some."
            raise CompressionError(msg)
        most = tolerance * model.post_processor.thresholds[category].image
        stays = _staying(*_nearest(model, category, pictures[category]), len(model.category_rows(category).rows), most)
        kept.append((model.bank.row_category == number).nonzero().flatten()[stays])
        dropped[category] = int((~stays).sum())
    return Pruned(bank=model.bank.select(torch.cat(kept).sort().values), dropped=dropped)


@torch.inference_mode()
def _nearest(model: FederatedPatchcore, category: str, pictures: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Distances of all patches to their nearest rows, nearest first, and which rows: both ``(patches, SPARE)``."""
    rows = model.category_rows(category)
    spare = min(SPARE, len(rows.rows))
    found = []
    for picture in pictures:
        prepared = model.pre_processor.transform(picture[None])
        queries = rows.compared(patch_rows(model.model(prepared)))
        found.append(squared_distances(queries, rows.rows).topk(spare, largest=False))
    return torch.cat([each.values for each in found]).sqrt(), torch.cat([each.indices for each in found])


def _staying(distances: Tensor, owners: Tensor, count: int, most: float) -> Tensor:
    """Which of ``count`` rows stay so that no patch's distance grows by more than ``most``."""
    near_enough = distances <= distances[:, :1] + most
    within = [row[fine] for row, fine in zip(owners.numpy(), near_enough.numpy(), strict=True)]
    used = torch.bincount(owners[:, 0], minlength=count)
    patches_of: list[list[int]] = [[] for _ in range(count)]
    for patch, rows in enumerate(within):
        for row in rows:
            patches_of[row].append(patch)
    left = [len(rows) for rows in within]  # rows near enough to each patch that stay
    stays = torch.ones(count, dtype=torch.bool)
    for row in used.argsort(stable=True).tolist():
        if used[row] and all(left[patch] > 1 for patch in patches_of[row]):
            stays[row] = False
            for patch in patches_of[row]:
                left[patch] -= 1
    return stays


def _projected(bank: MemoryBank, projections: dict[str, Tensor]) -> MemoryBank:
    return replace(bank, projections=projections)


def _principal(features: Tensor, width: int) -> Tensor:
    _, directions = principal_directions(features.double() - features.double().mean(0))
    return directions[:, :width].float().contiguous()


def _check_width(bank: MemoryBank, width: int) -> None:
    if not 1 <= width < bank.space.dim:
        msg = f"The bank cannot be projected to {width} numbers; give 1 to {bank.space.dim - 1}."
        raise CompressionError(msg)
    for category in bank.categories:
        if has_own_distance(bank, category) and category in bank.projections:
            msg = f"Category '{category}' has a projection already; leave the projection out."
            raise CompressionError(msg)
