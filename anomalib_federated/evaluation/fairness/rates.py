"""How unsure the rates of a group are: TPR, FPR and the share called defective, at thresholds that are unsure too.

Drawing three pictures again never shows that a fourth could be missed: a group whose rate is 0 or 1 would get an
interval of no width, and small groups are what fairness is about. So the pictures behind a rate of ``k`` out of ``n``
are not drawn again; the rate itself is drawn from ``Beta(k + 1/2, n - k + 1/2)``, which a group of one picture has as
well. The threshold is that of validation scores drawn again, the same for all groups.

Source: Brown, Cai and DasGupta, "Interval Estimation for a Binomial Proportion", Statistical Science 2001 (Jeffreys).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from anomalib_federated.evaluation.figures import ImageFigures

Array: TypeAlias = npt.NDArray[np.float64]


def drawn_rates(
    images: Sequence[ImageFigures], thresholds: Mapping[float, Array], rng: np.random.Generator
) -> dict[str, Array]:
    """Draw the rates of a group.

    Args:
        images: Of the group.
        thresholds: By the TNR that they were set for, shape ``(r,)``.
        rng: Decides the draws; the order of the images does not.

    Returns:
        Per rate that the group defines, shape ``(r,)``: ``tpr@tnr0.95``, ``fpr@tnr0.95``, ``called@tnr0.95`` and so on.
    """
    judged = {
        "tpr": [image.score for image in images if not image.good],
        "fpr": [image.score for image in images if image.good],
        "called": [image.score for image in images],
    }
    return {
        f"{rate}@tnr{tnr}": _drawn(np.sort(np.array(scores)), own, rng)
        for tnr, own in thresholds.items()
        for rate, scores in judged.items()
        if scores
    }


def _drawn(scores: Array, thresholds: Array, rng: np.random.Generator) -> Array:
    above = len(scores) - np.searchsorted(scores, thresholds, side="right")
    return rng.beta(above + 0.5, len(scores) - above + 0.5)
