"""Thresholds from normal validation scores, and what they do to test scores.

AutoVI is judged by the share of defective images found (TPR) at a wished share of good images passed (TNR: 99, 95 or
90 %). The threshold comes from normal images that were neither trained on nor tested, never from the test set, so the
TNR that the test set shows differs from the wished one; report both.

The threshold is that of :mod:`anomalib_federated.false_alarms`: on new good images of the same kind the TNR is the wish
in the mean, or as little above it as ``n`` validation images allow. Few cannot tell a high TNR: with fewer than 99 the
threshold for 99 % is simply the greatest score, and the TNR that it promises, ``n / (n + 1)``, is below the wish.

Example:
    >>> from anomalib_federated.metrics.operating_points import rates_at, threshold_at_tnr
    >>> threshold = threshold_at_tnr([0.1, 0.2, 0.3, 0.4], 0.6)
    >>> threshold, rates_at(threshold, good=[0.2, 0.5], defective=[0.3, 0.9])
    (0.3, (0.5, 0.5))
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from anomalib_federated.false_alarms import expecting


def threshold_at_tnr(validation_scores: npt.ArrayLike, tnr: float) -> float:
    """The smallest validation score at or below which new normal images lie with at least the chance ``tnr``.

    An image is called defective if it scores strictly above the threshold.

    Args:
        validation_scores: Scores of normal validation images, shape ``(n,)``.
        tnr: Wished true negative rate, in (0, 1).

    Raises:
        ValueError: If there is no score, one is not finite or ``tnr`` is outside (0, 1).
    """
    scores = _checked(validation_scores, "validation_scores")
    if not scores.size:
        msg = "a threshold needs at least one normal validation image, none was given"
        raise ValueError(msg)
    if not 0 < tnr < 1:
        msg = f"tnr must be in (0, 1), such as 0.95, got {tnr}"
        raise ValueError(msg)
    return expecting(scores.size, 1 - tnr).threshold(scores.tolist())


def rates_at(threshold: float, *, good: npt.ArrayLike, defective: npt.ArrayLike) -> tuple[float | None, float | None]:
    """True positive and true negative rate of test images at a threshold.

    Args:
        threshold: Images that score strictly above it are called defective.
        good: Scores of good test images, shape ``(n,)``.
        defective: Scores of defective test images, shape ``(m,)``.

    Returns:
        TPR and TNR; ``None`` where there is no image to tell.

    Raises:
        ValueError: If a score is not finite.
    """
    passed, found = _checked(good, "good") <= threshold, _checked(defective, "defective") > threshold
    return (float(found.mean()) if found.size else None, float(passed.mean()) if passed.size else None)


def _checked(scores: npt.ArrayLike, name: str) -> npt.NDArray[np.float64]:
    array = np.asarray(scores, dtype=np.float64)
    if array.ndim != 1 or not np.isfinite(array).all():
        msg = f"{name} must be a list of finite numbers, got shape {array.shape}"
        if array.ndim == 1:
            msg = f"{name} must be a list of finite numbers, but number {int(np.argmin(np.isfinite(array)))} is not"
        raise ValueError(msg)
    return array
