"""One anomaly map, taken apart by its masks.

Example:
    >>> import numpy as np
    >>> from anomalib_federated.metrics.defects import Defect
    >>> from anomalib_federated.metrics.masked_scores import take_apart
    >>> mask = np.array([[True, True, False]])
    >>> parts = take_apart(np.array([[3.0, 1.0, 2.0]]), [Defect(mask, 1, "dent")], "image 0")
    >>> parts.normal.tolist(), parts.masked.tolist(), parts.channels[0].scores.tolist()
    ([2.0], [3.0, 1.0], [3.0])
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anomalib_federated.metrics.defects import Defect
from anomalib_federated.metrics.score_pool import Scores, rankable


@dataclass(frozen=True, eq=False)
class Channel:
    """What counts of one defect.

    Attributes:
        name: Name of the defect's type.
        scores: Its top scores, as many as its saturation area.
    """

    name: str
    scores: Scores


@dataclass(frozen=True, eq=False)
class MaskedScores:
    """Scores of one image, as copies.

    Attributes:
        normal: Of the pixels free of every mask, shape ``(n,)``.
        masked: Of the pixels of any mask, each once, shape ``(m,)``.
        channels: Of each defect.
    """

    normal: Scores
    masked: Scores
    channels: tuple[Channel, ...]


def take_apart(anomaly_map: npt.ArrayLike, defects: Sequence[Defect], where: str) -> MaskedScores:
    """Sort the scores of an image by what its masks say.

    Args:
        anomaly_map: Scores of shape ``(H, W)``, real numbers of at most 64 bits.
        defects: The image's defects, masks of the same shape; empty for a good image.
        where: Name of the image, to begin error messages with.

    Returns:
        Copies of the scores, in the dtype that :func:`~anomalib_federated.metrics.score_pool.rankable` gives.

    Raises:
        TypeError: If the map is not numeric or a defect is not a :class:`Defect`.
        ValueError: If the map is not 2-D, empty, not finite or not of its masks' size.
    """
    scores = _checked_map(anomaly_map, where)
    _check_defects(defects, scores.shape, where)
    if not defects:
        return MaskedScores(scores.flatten(), scores[0, :0].copy(), ())
    free = np.ones(scores.shape, dtype=bool)
    for defect in defects:
        free &= ~defect.mask
    channels = tuple(
        Channel(defect.name, np.sort(scores[defect.mask])[-defect.saturation_area :].copy()) for defect in defects
    )
    return MaskedScores(scores[free], scores[~free], channels)


def _checked_map(anomaly_map: npt.ArrayLike, where: str) -> Scores:
    given = np.asarray(anomaly_map)
    try:
        scores = rankable(given)
    except TypeError as error:
        msg = f"{where}: the anomaly map's {error}"
        raise TypeError(msg) from error
    if scores.ndim != 2 or scores.size == 0:
        msg = f"{where}: the anomaly map must be 2-D (H, W) and not empty, got shape {scores.shape}"
        raise ValueError(msg)
    if not np.isfinite(scores).all():
        msg = f"{where}: the anomaly map has NaN or infinite scores; scores must be finite to be ranked"
        raise ValueError(msg)
    return scores


def _check_defects(defects: object, shape: tuple[int, ...], where: str) -> None:
    if not isinstance(defects, Iterable):
        msg = f"{where}: defects must be a list of Defect, empty for a good image, got {type(defects).__name__}"
        raise TypeError(msg)
    for index, defect in enumerate(defects):
        if not isinstance(defect, Defect):
            msg = f"{where}: defect {index} must be a Defect, got {type(defect).__name__}"
            raise TypeError(msg)
        if defect.mask.shape != shape:
            msg = (
                f"{where}: the anomaly map is {shape} but the mask of defect {index} is {defect.mask.shape} (H, W); "
                "upsample the map to the mask's size"
            )
            raise ValueError(msg)
