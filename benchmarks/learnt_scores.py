"""How far patches are from what was learnt, and the figures that follow, on stored patches of test pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from sklearn.metrics import roc_auc_score
from stored_patches import StoredPatches
from torch import Tensor
from torch.nn.functional import interpolate

from anomalib_federated.data.layout import name_of
from anomalib_federated.evaluation.measuring.measure import measure
from anomalib_federated.evaluation.measuring.scored_image import ScoredImage, at_native_size
from anomalib_federated.models.image_score import ImageScore, ScoreRule
from anomalib_federated.models.image_transform import image_transform
from anomalib_federated.models.part_frame import to_picture
from anomalib_federated.models.patch_scorer import PatchScorer
from anomalib_federated.privacy.learnt import Learnt
from anomalib_federated.selection.distances import nearest_in_chunks

RULES: tuple[ScoreRule, ...] = ("smoothed_max", "max", "top_fraction")
PICTURES_AT_ONCE = 16


@torch.no_grad()
def distances(learnt: Learnt, stored: StoredPatches, pictures: Sequence[int] | None = None) -> Tensor:
    """Of every patch of the test pictures, shape ``(pictures, 1, rows, columns)``; of all if none are named."""
    test = stored.test if pictures is None else stored.test[list(pictures)]
    count, rows, columns, dim = test.shape
    projection = torch.eye(dim) if learnt.projection is None else learnt.projection
    projected = learnt.rows @ projection
    found = torch.empty(count, 1, rows, columns)
    nearest = None if learnt.places is None else nearest_places(learnt.places, rows, columns)
    for begin in range(0, count, PICTURES_AT_ONCE):
        part = torch.from_numpy(test[begin : begin + PICTURES_AT_ONCE]).float().flatten(1, 2) @ projection
        if nearest is None:
            flat = part.flatten(0, 1)
            steps = nearest_in_chunks(flat, flat.pow(2).sum(1), projected)
            apart = torch.cat([squared for _, squared, _ in steps]).sqrt()
        else:
            apart = (part - projected[nearest]).norm(dim=2)
        found[begin : begin + PICTURES_AT_ONCE] = apart.reshape(-1, 1, rows, columns)
    return found


def nearest_places(places: Tensor, rows: int, columns: int) -> Tensor:
    """The row of each patch of a grid, shape ``(rows * columns,)``; of rows with a place each of its own.

    Raises:
        ValueError: If two rows share a place.
    """
    if len(places.unique(dim=0)) != len(places):
        msg = "Several rows share a place, which this benchmark does not score."
        raise ValueError(msg)
    down, across = ((torch.arange(size) + 0.5) / size for size in (rows, columns))
    return torch.cdist(torch.cartesian_prod(down, across), places).argmin(1)


def image_aurocs(found: Tensor, stored: StoredPatches) -> dict[str, float]:
    """Per rule for the score of a picture."""
    labels = stored.datamodule.test_data.samples["label_index"]
    return {rule: float(roc_auc_score(labels, _scores(found, rule))) for rule in RULES}


def auc_spro(found: Tensor, stored: StoredPatches) -> float | None:
    """AUC-sPRO@0.05 at the pictures' native size."""
    return measure(scored(found, stored), resamples=0).localization.auc_spro["0.05"]


@torch.no_grad()
def scored(found: Tensor, stored: StoredPatches, pictures: Sequence[int] | None = None) -> Iterator[ScoredImage]:
    """The test pictures with their scores and maps; ``found`` is of all, or of those that are named, in their order."""
    scorer = PatchScorer(ImageScore("smoothed_max"))
    transform = image_transform(stored.extractor.space)
    scores = _scores(found, "smoothed_max")
    data = stored.datamodule.test_data
    for position, number in enumerate(range(len(data)) if pictures is None else pictures):
        item, grid = data[number], found[position : position + 1]
        image = transform(item.image.unsqueeze(0))
        placement, size = stored.extractor.place(image), image.shape[-2:]
        spread = interpolate(grid, size=size) if placement is None else to_picture(grid, placement.affine, size)
        yield ScoredImage(
            name=name_of(item.image_path),
            category=item.category,
            defect_type=item.defect_type,
            score=float(scores[position]),
            anomaly_map=at_native_size(scorer.smooth(spread)[0, 0], item.native_size),
            defects=item.defects,
            image_path=Path(item.image_path),
        )


def _scores(found: Tensor, rule: ScoreRule) -> Tensor:
    nothing = torch.empty(0)  # these rules look at distances alone
    return ImageScore(rule)(found, nothing, nothing, nothing, lambda _features, _count: (nothing, nothing))
