"""Where test images get their scores from: a detector, or a folder of anomaly maps that any method made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from anomalib_federated.bank import MemoryBank
from anomalib_federated.data import AutoVI
from anomalib_federated.evaluation.maps.folder import RESIZING, VALIDATION, read_maps, read_validation_scores
from anomalib_federated.evaluation.measuring.calibrate import calibrate
from anomalib_federated.evaluation.measuring.scored_image import ScoredImage, scored_images
from anomalib_federated.metrics.operating_points import threshold_at_tnr
from anomalib_federated.models import FederatedPatchcore
from anomalib_federated.models.post_processor import Thresholds

SHOWN_TNR = 0.95
"""Share of normal validation images that pass the threshold of a gallery of maps."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Scored test images of some categories.

    Attributes:
        scored: Category to its test images, one after the other.
        validation_scores: Category to the raw scores of normal validation images; empty if there are none.
        thresholds: Category to thresholds of images and pixels; absent without validation images.
        settings: What decided the scores, as plain data.
        data: The data set of the images, set up.
        bank: Of the detector.
        model: The detector; ``None`` if only maps were given.
        image_score: How it scores a picture, in words; empty if only maps are known.
    """

    scored: Callable[[str], Iterator[ScoredImage]]
    validation_scores: Mapping[str, Sequence[float]]
    thresholds: Mapping[str, Thresholds]
    settings: dict[str, Any]
    data: AutoVI = field(repr=False)
    bank: MemoryBank | None = field(default=None, repr=False)
    model: FederatedPatchcore | None = field(default=None, repr=False)
    image_score: str = ""


def source_of_model(model: FederatedPatchcore, data: AutoVI, *, categories: Sequence[str] | None = None) -> Source:
    """Scores of a detector, which is calibrated here.

    Args:
        model: With a bank.
        data: The data set, set up.
        categories: Those that will be asked for; ``None`` stands for all of the data set.

    Raises:
        BankError: If the bank lacks a category.
    """
    asked = data.categories if categories is None else categories
    for category in asked:
        model.category_rows(category)  # refused before anything is computed
    scores = calibrate(model, data.val_data.of_category(*asked), batch_size=data.eval_batch_size)
    return Source(
        scored=lambda category: scored_images(
            model, data.test_data.of_category(category), batch_size=data.eval_batch_size
        ),
        validation_scores=scores,
        thresholds=model.post_processor.thresholds,
        settings={"bank": model.bank.digest, "space": asdict(model.space), "score": model.scorer.words},
        data=data,
        bank=model.bank,
        model=model,
        image_score=model.scorer.image_score.words,
    )


def source_of_maps(folder: Path, data: AutoVI) -> Source:
    """Scores of a folder of maps.

    Args:
        folder: See :mod:`anomalib_federated.evaluation.maps.folder`; of several categories, each has its own in it.
        data: The data set, set up.

    Raises:
        MapError: If a validation map is unusable.
    """
    several = len(data.categories) > 1
    folders = {name: folder / name if several else folder for name in data.categories}
    scores = {name: read_validation_scores(folders[name], name) for name in data.categories}
    # The score of an image is the largest of its map, so one threshold serves both.
    found = {name: threshold_at_tnr(own, SHOWN_TNR) for name, own in scores.items() if own}
    return Source(
        scored=lambda category: read_maps(folders[category], data.test_data.of_category(category)),
        validation_scores=scores,
        thresholds={name: Thresholds(image=value, pixel=value) for name, value in found.items()},
        settings={"maps": str(folder), "map_sizes": RESIZING, "thresholds": f"{VALIDATION}/good beside the maps"},
        data=data,
    )
