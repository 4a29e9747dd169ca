"""The images of one part of a test set, and curves over several parts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from anomalib_federated.metrics.defects import Defect
from anomalib_federated.metrics.masked_scores import Channel, take_apart
from anomalib_federated.metrics.score_pool import ScorePool, Scores, check_comparable
from anomalib_federated.metrics.spro_curve import FPR_LIMITS, SproCurve, checked_fpr_limits


class SproAccumulator:
    """Collects the scores that pixel measures need, image by image: one part of a test set.

    Of an image it keeps the scores of the defect-free pixels (two bytes each if the maps are float32), those of the
    masked pixels and of each defect its top ``saturation_area`` scores. Measures take any number of parts, so a test
    set that is cut into parts by folder and defect type is held once, whatever is measured of it.

    Attributes:
        normal: Scores of the pixels that are free of every mask.
        masked: Scores of the pixels of any mask, an array per image.
        channels: What counts of each defect.
        dtypes: Of the scores.
        images: Number of images.

    Example:
        >>> import numpy as np
        >>> from anomalib_federated.metrics import Defect, SproAccumulator, auc_spro_of
        >>> good, dents = SproAccumulator(), SproAccumulator()
        >>> good.add(np.zeros((2, 3)), [])
        >>> mask = np.array([[True, True, False], [False, False, False]])
        >>> dents.add(mask.astype(np.float32), [Defect(mask, 2, "dent")])
        >>> auc_spro_of([good, dents], fpr_limits=[0.05], names=["dent"])
        {0.05: 1.0}
    """

    def __init__(self) -> None:
        self.normal = ScorePool()
        self.masked: list[Scores] = []
        self.channels: list[Channel] = []
        self.dtypes: frozenset[np.dtype[Any]] = frozenset()
        self.images = 0

    def add(self, anomaly_map: npt.ArrayLike, defects: Sequence[Defect]) -> None:
        """Add one image. If it raises, nothing was added.

        Args:
            anomaly_map: Scores of shape ``(H, W)``, real numbers of at most 64 bits.
            defects: The image's defects, masks of the same shape; empty for a good image.

        Raises:
            TypeError: If the map is not numeric or a defect is not a :class:`Defect`.
            ValueError: If the map is not 2-D, empty, not finite or not of its masks' size; images count from 0.
        """
        where = f"image {self.images}"
        scores = take_apart(anomaly_map, defects, where)
        dtypes = self.dtypes | {scores.normal.dtype}
        check_comparable(dtypes, where)
        self.normal.add(scores.normal)
        if len(scores.masked):
            self.masked.append(scores.masked)
        self.channels += scores.channels
        self.dtypes = dtypes
        self.images += 1

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
        curve = spro_curve([self])
        return {limit: curve.auc(limit) for limit in limits}


def spro_curve(parts: Sequence[SproAccumulator], *, names: Collection[str] | None = None) -> SproCurve:
    """The FPR-sPRO curve of all images of the parts together.

    Args:
        parts: The parts.
        names: Names of the defect types whose channels count; ``None`` for all. The false positive rate is over the
            pixels free of every channel all the same.

    Raises:
        TypeError: If ``names`` is one text.
        ValueError: If there is no image, no channel that counts or no defect-free pixel.
    """
    if isinstance(names, str):
        msg = f"names must be a list of defect names such as ['{names}'], got the text {names!r}"
        raise TypeError(msg)
    check_parts(parts)
    channels = [channel for part in parts for channel in part.channels]
    counted = [channel.scores for channel in channels if names is None or channel.name in names]
    if channels and not counted:
        known = ", ".join(sorted({repr(channel.name) for channel in channels}))
        msg = f"no defect is named {' or '.join(map(repr, sorted(names or [])))}; the defects are named {known}"
        raise ValueError(msg)
    return SproCurve.measured([part.normal for part in parts], counted)


def check_parts(parts: Sequence[SproAccumulator]) -> None:
    """Refuse parts whose scores cannot be compared.

    Raises:
        ValueError: If they hold 64-bit integers and scores of other dtypes.
    """
    check_comparable(frozenset().union(*(part.dtypes for part in parts)), "the parts")
