"""Thresholds from normal validation scores, and what they do to test scores.

AutoVI is judged by the share of defective images found (TPR) at a wished share of good images passed (TNR: 99, 95 or
90 %). The threshold comes from normal images that were neither trained on nor tested, never from the test set, so the
TNR that the test set shows differs from the wished one; report both.

Few validation images cannot tell a high TNR: of ``n`` of them ``floor(n * (1 - tnr))`` may alarm, so 99 % needs 100
images to let a single one alarm; with fewer the threshold is simply the greatest score, as it is for 100 %. On new good
images from the same distribution, the TNR at the k-th smallest of n scores is ``k / (n + 1)`` in the mean (continuous
scores), a little below the wish.

Example:
    >>> from anomalib_federated.metrics.operating_points import rates_at, threshold_at_tnr
    >>> threshold = threshold_at_tnr([0.1, 0.2, 0.3, 0.4], 0.75)
    >>> threshold, rates_at(threshold, good=[0.2, 0.5], defective=[0.3, 0.9])
    (0.3, (0.5, 0.5))
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def threshold_at_tnr(validation_scores: npt.ArrayLike, tnr: float) -> float:
    """The smallest validation score at or below which at least the share ``tnr`` of them lies.

    An image is called defective if it scores strictly above the threshold.

    Args:
        validation_scores: Scores of normal validation images, shape ``(n,)``.
        tnr: Wished true negative rate, in (0, 1].

    Raises:
        ValueError: If there is no score, one is not finite or ``tnr`` is outside (0, 1].
    """
    scores = _checked(validation_scores, "validation_scores")
    if not scores.size:
        msg = "a threshold needs at least one normal validation image, none was given"
        raise ValueError(msg)
    if not 0 < tnr <= 1:
        msg = f"tnr must be in (0, 1], such as 0.95, got {tnr}"
        raise ValueError(msg)
    # Shares by division: 0.07 * 100 is above 7, but 7 / 100 is 0.07.
    shares = np.arange(1, scores.size + 1) / scores.size
    return float(np.sort(scores)[np.searchsorted(shares, tnr)])


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
