"""AUC-sPRO: the exact area under the saturated per-region overlap curve.

Every distinct score is a threshold ``t`` (strict ``>``). The curve's height is the mean over all defects of
``min(#{pixels of the defect > t} / saturation area, 1)``, its abscissa the false positive rate over the pixels free of
every defect, pooled over all images. AUC(L) is the area under the polyline up to the limit L, divided by L.

A defect gains height only from its top ``saturation_area`` scores, each worth ``1 / saturation_area``. A score ``v``
lifts the polyline along a straight line from abscissa ``#{N > v} / |N|`` to ``#{N >= v} / |N|``, N being the scores
free of defects, so the area is a sum over those scores after one sort of N: no threshold is sampled.

Source: Bergmann et al., "Beyond Dents and Scratches: Logical Constraints in Unsupervised Anomaly Detection and
Localization", IJCV 2022; the AutoVI evaluation (Carvalho et al., 2024) uses the same measure.

Example:
    >>> import numpy as np
    >>> from anomalib_federated.metrics.defects import Defect
    >>> from anomalib_federated.metrics.spro import auc_spro
    >>> mask = np.zeros((4, 4), dtype=bool)
    >>> mask[:2, :2] = True
    >>> auc_spro([mask.astype(np.float32), np.zeros((3, 5))], [[Defect(mask, 4)], []], fpr_limits=[0.05])
    {0.05: 1.0}
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from anomalib_federated.metrics.defects import Defect

FPR_LIMITS = (0.01, 0.05, 0.1, 0.3, 1.0)

Scores = npt.NDArray[Any]


def auc_spro(
    anomaly_maps: Iterable[npt.ArrayLike],
    defects: Iterable[Sequence[Defect]],
    *,
    fpr_limits: Iterable[float] = FPR_LIMITS,
) -> dict[float, float]:
    """Exact AUC-sPRO of a set of anomaly maps.

    Args:
        anomaly_maps: One map per image, shape ``(H, W)``, any real numeric dtype, at the size of the masks; images may
            differ in size. May be a generator; the maps are only read.
        defects: The defects of each image, an empty sequence for a good one.
        fpr_limits: Limits of the false positive rate, in (0, 1].

    Returns:
        AUC-sPRO per limit, divided by the limit: 1 is perfect, one constant map everywhere gives ``limit / 2``.

    Raises:
        TypeError: If a map is not numeric or a defect is not a :class:`Defect`.
        ValueError: If the numbers of maps and of lists differ, a map is not 2-D, not finite or not of its masks' size,
            there is no image, no defect or no defect-free pixel, or a limit is outside (0, 1].

    Notes:
        Time is one sort of the defect-free scores; memory one copy of the scores, two while sorting.
    """
    limits = checked_fpr_limits(fpr_limits)
    defects_per_image = list(defects)
    accumulator = SproAccumulator()
    count = 0
    for anomaly_map in anomaly_maps:
        if count < len(defects_per_image):
            accumulator.add(anomaly_map, defects_per_image[count])
        count += 1
    if count != len(defects_per_image):
        first = min(count, len(defects_per_image))
        msg = (
            f"{count} anomaly maps but {len(defects_per_image)} lists of defects (image {first} lacks one); "
            "give one list per image, an empty one for a good image"
        )
        raise ValueError(msg)
    return accumulator.auc(limits)


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


class SproAccumulator:
    """Collects the scores that AUC-sPRO needs, image by image.

    Of an image it keeps the scores of the defect-free pixels and of each defect its top ``saturation_area`` scores, all
    in their own dtype, as copies.
    """

    def __init__(self) -> None:
        self._normal_scores: list[Scores] = []
        self._channel_scores: list[Scores] = []
        self._saturation_areas: list[int] = []
        self._dtypes: frozenset[np.dtype[Any]] = frozenset()
        self._images = 0

    @classmethod
    def from_scores(
        cls, normal_scores: Iterable[Scores], channel_scores: Iterable[Scores], *, saturation_areas: Iterable[int]
    ) -> SproAccumulator:
        """Rebuild an accumulator from what another one held.

        Args:
            normal_scores: Defect-free scores in any number of 1-D arrays.
            channel_scores: The top scores of each defect, defect after defect, in any number of 1-D arrays.
            saturation_areas: Saturation area of each defect, in the same order.

        Returns:
            The accumulator. It refers to the arrays and does not write to them.

        Raises:
            ValueError: If the saturation areas do not add up to the number of channel scores, or dtypes do not mix.
        """
        made = cls()
        made._normal_scores, made._channel_scores = list(normal_scores), list(channel_scores)
        made._saturation_areas = [int(area) for area in saturation_areas]
        held = sum(scores.size for scores in made._channel_scores)
        if held != sum(made._saturation_areas) or min(made._saturation_areas, default=1) < 1:
            msg = f"{held} channel scores do not fit saturation areas that add up to {sum(made._saturation_areas)}"
            raise ValueError(msg)
        made._dtypes = frozenset(scores.dtype for scores in made._normal_scores + made._channel_scores)
        _check_dtypes(made._dtypes, "from_scores")
        return made

    @property
    def normal_scores(self) -> Scores:
        """Defect-free scores of all images, a new array of shape ``(n,)``."""
        return _concatenate(self._normal_scores)

    @property
    def channel_scores(self) -> Scores:
        """Top scores of all defects, defect after defect, a new array of shape ``(sum of saturation areas,)``."""
        return _concatenate(self._channel_scores)

    @property
    def saturation_areas(self) -> npt.NDArray[np.int64]:
        """Saturation area of each defect, in the order of ``channel_scores``, shape ``(n_defects,)``."""
        return np.asarray(self._saturation_areas, dtype=np.int64)

    def add(self, anomaly_map: npt.ArrayLike, defects: Sequence[Defect]) -> None:
        """Add one image. If it raises, nothing was added.

        Args:
            anomaly_map: Scores of shape ``(H, W)``, any real numeric dtype.
            defects: The image's defects, masks of the same shape; empty for a good image.

        Raises:
            TypeError: If the map is not numeric or a defect is not a :class:`Defect`.
            ValueError: If the map is not 2-D, empty, not finite or not of its masks' size; images count from 0.
        """
        where = f"image {self._images}"
        scores = _checked_map(anomaly_map, where)
        _check_defects(defects, scores.shape, where)
        dtypes = self._dtypes | {scores.dtype}
        _check_dtypes(dtypes, where)
        free = np.ones(scores.shape, dtype=bool)
        for defect in defects:
            free &= ~defect.mask
        self._normal_scores.append(scores[free] if defects else scores.flatten())
        self._channel_scores += [np.sort(scores[defect.mask])[-defect.saturation_area :].copy() for defect in defects]
        self._saturation_areas += [defect.saturation_area for defect in defects]
        self._dtypes = dtypes
        self._images += 1

    def merge(self, other: SproAccumulator) -> None:
        """Add the images of another accumulator, which stays as it is.

        Args:
            other: The other accumulator.

        Raises:
            ValueError: If the dtypes of the two do not mix without rounding.
        """
        dtypes = self._dtypes | other._dtypes
        _check_dtypes(dtypes, "merge")
        self._normal_scores += other._normal_scores
        self._channel_scores += other._channel_scores
        self._saturation_areas += other._saturation_areas
        self._dtypes = dtypes
        self._images += other._images

    def auc(self, fpr_limits: Iterable[float] = FPR_LIMITS) -> dict[float, float]:
        """Exact AUC-sPRO of the images so far.

        Args:
            fpr_limits: Limits of the false positive rate, in (0, 1].

        Returns:
            AUC-sPRO per limit, divided by the limit.

        Raises:
            ValueError: If there is no image, no defect, no defect-free pixel or a limit is outside (0, 1].
        """
        limits = checked_fpr_limits(fpr_limits)
        normal, channel = self.normal_scores, self.channel_scores
        if normal.size == 0 and channel.size == 0:
            msg = "AUC-sPRO needs at least one image, none was given"
            raise ValueError(msg)
        if channel.size == 0:
            msg = "AUC-sPRO needs at least one defect, all images were given as good"
            raise ValueError(msg)
        if normal.size == 0:
            msg = "AUC-sPRO needs at least one defect-free pixel, the masks cover every image"
            raise ValueError(msg)
        normal.sort()
        not_above = np.searchsorted(normal, channel, side="right")
        tied = not_above - np.searchsorted(normal, channel, side="left")
        above = normal.size - not_above
        return {limit: self._area(above / (limit * normal.size), tied / (limit * normal.size)) for limit in limits}

    def _area(self, start: npt.NDArray[np.float64], width: npt.NDArray[np.float64]) -> float:
        """Mean over the defects of the area that their scores add, abscissa in units of the limit.

        A score adds a line that rises from 0 to 1 between ``start`` and ``start + width`` and stays there.
        """
        rest = np.clip(1 - start, 0, None)
        gained = rest - width / 2
        np.divide(rest**2, 2 * width, out=gained, where=rest < width)
        areas = self.saturation_areas
        # Per defect, so that a perfect map gives exactly 1: ones add up without rounding.
        return float(np.mean(np.add.reduceat(gained, np.cumsum(areas) - areas) / areas))


def _concatenate(parts: list[Scores]) -> Scores:
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.float32)


def _checked_map(anomaly_map: npt.ArrayLike, where: str) -> Scores:
    scores = np.asarray(anomaly_map)
    if scores.dtype.kind not in "biuf":
        msg = f"{where}: the anomaly map must hold real numbers, got dtype {scores.dtype}"
        raise TypeError(msg)
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


def _check_dtypes(dtypes: frozenset[np.dtype[Any]], where: str) -> None:
    # numpy compares 64-bit integers with other kinds in float64, which would round and invent ties.
    wide = any(dtype.kind in "iu" and dtype.itemsize == 8 for dtype in dtypes)
    if wide and np.result_type(*dtypes).kind == "f":
        names = ", ".join(sorted(map(str, dtypes)))
        msg = f"{where}: scores of {names} cannot be ranked exactly; use one dtype for all maps"
        raise ValueError(msg)
