"""The exact FPR-sPRO curve, its area and points on it.

Every distinct score is a threshold ``t`` (strict ``>``). The curve's height is the mean over all channels of
``min(#{pixels of the channel > t} / saturation area, 1)``, its abscissa the false positive rate over the defect-free
pixels, pooled over all images. The curve is the polyline through these points.

A channel gains height only from its top ``saturation_area`` scores, each worth ``1 / saturation_area``. A score ``v``
lifts the polyline along a straight line from abscissa ``#{N > v} / |N|`` to ``#{N >= v} / |N|``, N being the
defect-free scores, so all follows from two counts for each of those scores: no threshold is sampled.

Source: Bergmann et al., "Beyond Dents and Scratches: Logical Constraints in Unsupervised Anomaly Detection and
Localization", IJCV 2022.

Example:
    >>> import numpy as np
    >>> from anomalib_federated.metrics.score_pool import ScorePool
    >>> from anomalib_federated.metrics.spro_curve import SproCurve
    >>> normal = ScorePool()
    >>> normal.add(np.array([1.0, 2.0, 3.0, 4.0]))
    >>> curve = SproCurve.measured([normal], [np.array([2.5, 3.5])])
    >>> curve.auc(1.0), curve.heights(np.array([0.0, 0.25, 1.0])).tolist()
    (0.625, [0.0, 0.5, 1.0])
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anomalib_federated.metrics.score_pool import Counts, ScorePool, Scores, count_above_and_tied

FPR_LIMITS = (0.01, 0.05, 0.1, 0.3, 1.0)

Floats = npt.NDArray[np.float64]


def checked_fpr_limits(fpr_limits: object) -> tuple[float, ...]:
    """Return the limits as floats.

    Args:
        fpr_limits: Limits of the false positive rate.

    Returns:
        The same limits, in the same order.

    Raises:
        TypeError: If they are not a list.
        ValueError: If there is none or one is outside (0, 1].
    """
    if not isinstance(fpr_limits, Iterable) or isinstance(fpr_limits, str):
        msg = f"fpr_limits must be a list of numbers in (0, 1], such as [0.05], got {fpr_limits!r}"
        raise TypeError(msg)
    limits = tuple(float(limit) for limit in fpr_limits)
    wrong = [limit for limit in limits if not 0 < limit <= 1]
    if wrong or not limits:
        msg = f"fpr_limits must be one or more numbers in (0, 1], got {wrong[0] if wrong else 'none'}"
        raise ValueError(msg)
    return limits


@dataclass(frozen=True, eq=False)
class SproCurve:
    """The curve of a set of images.

    Attributes:
        above: Of each score that counts, channel after channel, how many defect-free scores are greater; shape
            ``(n,)``.
        tied: How many equal it.
        saturation_areas: How many of the scores belong to each channel, shape ``(n_channels,)``.
        normal: Number of defect-free scores.
    """

    above: Counts
    tied: Counts
    saturation_areas: Counts
    normal: int

    @classmethod
    def measured(cls, normal: Sequence[ScorePool], channels: Sequence[Scores]) -> SproCurve:
        """The curve from scores.

        Args:
            normal: Defect-free scores.
            channels: Of each channel its top scores, as many as its saturation area, in any order.

        Raises:
            ValueError: If there is no score at all, no channel or no defect-free score.
        """
        pixels = sum(map(len, normal))
        if not pixels and not channels:
            msg = "AUC-sPRO needs at least one image, none was given"
            raise ValueError(msg)
        if not channels:
            msg = "AUC-sPRO needs at least one defect, all images were given as good"
            raise ValueError(msg)
        if not pixels:
            msg = "AUC-sPRO needs at least one defect-free pixel, the masks cover every image"
            raise ValueError(msg)
        above, tied = count_above_and_tied(normal, np.concatenate(channels))
        return cls(above, tied, np.array([len(scores) for scores in channels], dtype=np.int64), pixels)

    def auc(self, limit: float) -> float:
        """Area under the curve up to a limit of the false positive rate, divided by the limit.

        Args:
            limit: In (0, 1].
        """
        # In units of the limit, a score adds a line that rises from 0 to 1 between start and start + width.
        start, width = self.above / (limit * self.normal), self.tied / (limit * self.normal)
        rest = np.clip(1 - start, 0, None)
        gained = rest - width / 2
        np.divide(rest**2, 2 * width, out=gained, where=rest < width)
        # Per channel, so that a perfect map gives exactly 1: ones add up without rounding.
        return float(np.mean(np.add.reduceat(gained, self._first_scores()) / self.saturation_areas))

    def heights(self, fpr: Floats) -> Floats:
        """Height of the curve; where it rises upright, its upper end.

        Args:
            fpr: False positive rates in [0, 1], any shape.

        Returns:
            float64 heights in [0, 1], of the same shape; 1 at a rate of 1.
        """
        order = np.lexsort((self.tied, self.above))
        above, tied = self.above[order], self.tied[order]
        # Scores of one value rise together, those of different values never over the same stretch.
        first = np.flatnonzero((np.diff(above, prepend=-1) != 0) | (np.diff(tied, prepend=-1) != 0))
        worth = np.repeat(1 / self.saturation_areas, self.saturation_areas)[order]
        # A rise by nothing left of all abscissas stands before the first. Abscissas are counts: they do not round.
        rises = np.append(0, np.add.reduceat(worth, first))
        start, width = np.append(-1, above[first]), np.append(0, tied[first])
        reached, false_positives = np.cumsum(rises), fpr * self.normal
        last = np.searchsorted(start, false_positives, side="right") - 1
        into = false_positives - start[last]
        share = np.divide(into, width[last], out=np.ones_like(into), where=into < width[last])
        # Nowhere above its end, by rounding neither: the curve must not fall.
        before = np.append(0, reached)[last]
        risen = np.where(share < 1, np.minimum(before + rises[last] * share, reached[last]), reached[last])
        heights: Floats = risen / reached[-1]
        return heights

    def _first_scores(self) -> Counts:
        """Where each channel's scores begin."""
        return np.cumsum(self.saturation_areas) - self.saturation_areas
