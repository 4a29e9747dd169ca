"""Pixels as a ranking: those of any mask against all others, over all images, each pixel once.

Exact, ties included: the values are scikit-learn's ``roc_auc_score`` and ``average_precision_score`` of all pixels, but
only the masked pixels are looked up among the others, so memory stays that of the parts.

Example:
    >>> import numpy as np
    >>> from anomalib_federated.metrics import Defect, SproAccumulator
    >>> from anomalib_federated.metrics.pixel_classification import pixel_classification_of
    >>> part = SproAccumulator()
    >>> part.add(np.array([[4.0, 3.0, 2.0, 1.0]]), [Defect(np.array([[True, False, True, False]]), 1)])
    >>> figures = pixel_classification_of([part])
    >>> figures.auroc, round(figures.average_precision, 4)
    (0.75, 0.8333)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from anomalib_federated.metrics.accumulator import SproAccumulator, check_parts
from anomalib_federated.metrics.score_pool import count_above_and_tied


@dataclass(frozen=True, kw_only=True)
class PixelClassification:
    """How well the scores tell masked pixels from others.

    Attributes:
        auroc: Area under the ROC curve: the chance that a masked pixel scores above another one, a tie being a half.
        average_precision: Area under the precision-recall curve, by steps.
    """

    auroc: float
    average_precision: float


def pixel_classification_of(parts: Sequence[SproAccumulator]) -> PixelClassification:
    """Pixel AUROC and AP of all images of some parts together.

    Args:
        parts: The parts, each image in one of them.

    Raises:
        ValueError: If there is no masked pixel or no other one.
    """
    check_parts(parts)
    masked = [scores for part in parts for scores in part.masked]
    normal = sum(len(part.normal) for part in parts)
    if not masked or not normal:
        missing = "free of every mask" if masked else "of a mask"
        msg = f"pixel AUROC and AP need at least one pixel {missing}; the images have none"
        raise ValueError(msg)
    values, found = np.unique(np.concatenate(masked), return_counts=True)
    above, tied = count_above_and_tied([part.normal for part in parts], values)
    defective = int(found.sum())
    beaten_twice = int(np.sum(found * (2 * (normal - above) - tied)))
    # Recall rises only at the masked scores, so no other threshold adds to the sum.
    true_positives = np.cumsum(found[::-1])
    precision = true_positives / (true_positives + (above + tied)[::-1])
    return PixelClassification(
        auroc=beaten_twice / (2 * normal * defective),
        average_precision=float(np.sum(found[::-1] * precision)) / defective,
    )
