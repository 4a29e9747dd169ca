"""All figures of one detector on one category, from test images that stream by.

Held in memory are the scores of the pixels (four bytes each), never the maps with their masks.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from anomalib_federated.data.layout import DEFECT_GROUPS
from anomalib_federated.evaluation.figures import Counts, Curve, Figures, ImageFigures, Localization, OperatingPoint
from anomalib_federated.evaluation.measuring.bootstrap import FIGURES, Evidence, bootstrap
from anomalib_federated.evaluation.measuring.groups import (
    Part,
    auc_spro_of_parts,
    channels_of,
    classification_of,
    groups_of,
    has_free_pixels,
)
from anomalib_federated.evaluation.measuring.scored_image import ScoredImage
from anomalib_federated.evaluation.measuring.scored_set import ScoredSet, collect
from anomalib_federated.false_alarms import pictures_expected
from anomalib_federated.metrics import (
    curve_of,
    pixel_classification_of,
    rates_at,
    threshold_at_tnr,
)

logger = logging.getLogger(__name__)

TNRS = (0.99, 0.95, 0.9)
"""Shares of normal images that shall pass, by the AutoVI protocol."""

MOST_NEEDED = pictures_expected(1 - max(TNRS))
"""Validation images below which the threshold of the highest TNR is simply their largest score."""

CURVE_POINTS = 200


def measure(
    scored: Iterable[ScoredImage],
    *,
    validation_scores: Sequence[float] = (),
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
    groups: Mapping[str, str] = DEFECT_GROUPS,
) -> Figures:
    """Measure a detector on the test images of one category.

    A figure that the images do not define is ``None``, and a warning says why.

    Args:
        scored: The images; may be a generator, each is looked at once.
        validation_scores: Raw scores of normal images that were not trained on; without them there are no operating
            points.
        resamples: Bootstrap resamples behind the intervals; 0 makes none.
        confidence: Of the intervals.
        seed: Decides the resamples.
        groups: Folder of defects to its kind, structural or logical.

    Raises:
        ValueError: If an image comes twice, two categories are mixed, or a validation score is not finite.

    Example:
        >>> import numpy as np
        >>> from pathlib import Path
        >>> from anomalib_federated.metrics import Defect
        >>> mask = np.eye(4, dtype=bool)
        >>> good, bad = (
        ...     ScoredImage(name=f"test/{name}/0.png", category="screw", defect_type=name, score=float(found.max()),
        ...         anomaly_map=found.astype(np.float32), defects=defects, image_path=Path(f"{name}.png"))
        ...     for name, found, defects in [("good", 0 * mask, ()), ("bent", mask, (Defect(mask, 4),))]
        ... )
        >>> figures = measure([good, bad], resamples=0)
        >>> figures.classification.auroc, figures.localization.auc_spro["0.05"]
        (1.0, 1.0)
    """
    return measure_set(
        collect(scored, with_counts=resamples > 0),
        validation_scores=validation_scores,
        resamples=resamples,
        confidence=confidence,
        seed=seed,
        groups=groups,
    )


def measure_set(
    test_set: ScoredSet,
    *,
    validation_scores: Sequence[float] = (),
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
    groups: Mapping[str, str] = DEFECT_GROUPS,
) -> Figures:
    """What :func:`measure` does, of images that were collected before, with counts if there are to be resamples.

    Raises:
        ValueError: If a validation score is not finite.
    """
    if not all(map(math.isfinite, validation_scores)):
        msg = f"A validation score is not finite ({list(validation_scores)}); mend the detector's output."
        raise ValueError(msg)
    parts, images = test_set.parts, test_set.images
    localized = _is_localized(test_set)
    classification = classification_of(images)
    if classification.auroc is None:
        logger.warning(
            "%s: there are not both good and defective test images; image AUROC and AP are not defined.",
            test_set.category,
        )
    if not validation_scores:
        logger.warning(
            "%s: there are no normal validation images, so there are no thresholds and no operating points.",
            test_set.category,
        )
    elif len(validation_scores) < MOST_NEEDED:
        logger.info(
            "%s: of %d normal validation images, fewer than %d, the largest score is the threshold for a TNR of %g.",
            test_set.category, len(validation_scores), MOST_NEEDED, TNRS[0],
        )  # fmt: skip
    figures = Figures(
        counts=Counts(
            good=sum(image.good for image in images),
            defective=sum(not image.good for image in images),
            channels=channels_of(parts),
        ),
        classification=classification,
        localization=_localization(parts) if localized else Localization(),
        operating_points=_operating_points(images, validation_scores),
        groups=groups_of(parts, groups, localized=localized),
        intervals={},
        confidence=confidence,
        resamples=resamples,
        curve=_curve(parts) if localized else None,
        images=tuple(sorted(images, key=lambda image: image.name)),
        validation_scores=tuple(float(score) for score in validation_scores),
    )
    grid = test_set.counts.grid() if test_set.counts and localized else None
    evidence = Evidence(images=images, pixels=grid, validation_scores=validation_scores)
    exact = {name: value for name in FIGURES if (value := figures.headline(name)) is not None}
    intervals = bootstrap(evidence, exact, resamples=resamples, confidence=confidence, seed=seed)
    return replace(figures, intervals=intervals)


def _is_localized(test_set: ScoredSet) -> bool:
    """Whether figures of pixels are defined; a warning tells why not."""
    without, every = sum(part.without_masks for part in test_set.parts), len(test_set.images)
    if without:
        reason = f"{without} of {every} test images have no masks"
    elif channels_of(test_set.parts) == 0:
        reason = "the test images have no defect"
    elif not has_free_pixels(test_set.parts):
        reason = "the masks cover every pixel of the test images"
    else:
        return True
    logger.warning("%s: %s; figures of pixels are not defined.", test_set.category, reason)
    return False


def _operating_points(images: Sequence[ImageFigures], validation_scores: Sequence[float]) -> tuple[OperatingPoint, ...]:
    if not validation_scores:
        return ()
    good = [image.score for image in images if image.good]
    defective = [image.score for image in images if not image.good]
    points = []
    for tnr in TNRS:
        threshold = threshold_at_tnr(validation_scores, tnr)
        tpr, test_tnr = rates_at(threshold, good=good, defective=defective)
        points.append(
            OperatingPoint(
                tnr=tnr, threshold=threshold, tpr=tpr, test_tnr=test_tnr, validation_images=len(validation_scores)
            )
        )
    return tuple(points)


def _localization(parts: Sequence[Part]) -> Localization:
    pixels = pixel_classification_of([part.pixels for part in parts])
    return Localization(
        auc_spro=auc_spro_of_parts(parts), pixel_auroc=pixels.auroc, pixel_average_precision=pixels.average_precision
    )


def _curve(parts: Sequence[Part]) -> Curve:
    fpr, spro = curve_of([part.pixels for part in parts], points=CURVE_POINTS)
    return Curve(fpr=tuple(fpr.tolist()), spro=tuple(spro.tolist()))
