"""AUC-sPRO: the exact area under the saturated per-region overlap curve.

The curve is defined in :mod:`anomalib_federated.metrics.spro_curve`; AUC(L) is the area under it up to the limit L of
the false positive rate, divided by L.

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

from collections.abc import Collection, Iterable, Sequence
from itertools import islice

import numpy as np
import numpy.typing as npt

from anomalib_federated.metrics.accumulator import SproAccumulator, spro_curve
from anomalib_federated.metrics.defects import Defect
from anomalib_federated.metrics.spro_curve import FPR_LIMITS, Floats, checked_fpr_limits

_LEAST_DRAWN_FPR = 1e-4


def auc_spro(
    anomaly_maps: Iterable[npt.ArrayLike],
    defects: Iterable[Sequence[Defect]],
    *,
    fpr_limits: Iterable[float] = FPR_LIMITS,
) -> dict[float, float]:
    """Exact AUC-sPRO of a set of anomaly maps.

    Args:
        anomaly_maps: One map per image, shape ``(H, W)``, real numbers of at most 64 bits, at the size of the masks;
            images may differ in size. May be a generator; the maps are only read.
        defects: The defects of each image, an empty sequence for a good one. May be a generator too.
        fpr_limits: Limits of the false positive rate, in (0, 1].

    Returns:
        AUC-sPRO per limit, divided by the limit: 1 is perfect, one constant map everywhere gives ``limit / 2``.

    Raises:
        TypeError: If a map is not numeric or a defect is not a :class:`Defect`.
        ValueError: If the numbers of maps and of lists differ, a map is not 2-D, not finite or not of its masks' size,
            there is no image, no defect or no defect-free pixel, or a limit is outside (0, 1].

    Notes:
        Time is one counting sort of the scores. Memory, beside the maps: of float32 maps two bytes a defect-free pixel,
        some 100 a masked one; of float64 maps, eight a defect-free pixel.
    """
    limits = checked_fpr_limits(fpr_limits)
    accumulator, remaining = SproAccumulator(), iter(defects)
    maps = lists = 0
    for anomaly_map in anomaly_maps:
        maps += 1
        for of_image in islice(remaining, 1):
            lists += 1
            accumulator.add(anomaly_map, of_image)
    lists += sum(1 for _ in remaining)
    if maps != lists:
        msg = (
            f"{maps} anomaly maps but {lists} lists of defects (image {min(maps, lists)} lacks one); "
            "give one list per image, an empty one for a good image"
        )
        raise ValueError(msg)
    return accumulator.auc(limits)


def auc_spro_of(
    parts: Sequence[SproAccumulator],
    *,
    fpr_limits: Iterable[float] = FPR_LIMITS,
    names: Collection[str] | None = None,
) -> dict[float, float]:
    """Exact AUC-sPRO of all images of some parts together.

    Args:
        parts: The parts, each image in one of them. Of one defect type: all good images and all images with a defect
            of that type, and its name as ``names``.
        fpr_limits: Limits of the false positive rate, in (0, 1].
        names: Names of the defect types whose channels count; ``None`` for all. The false positive rate is over the
            pixels free of every channel all the same.

    Returns:
        AUC-sPRO per limit, divided by the limit.

    Raises:
        TypeError: If ``names`` or ``fpr_limits`` is no list.
        ValueError: If there is no image, no channel that counts or no defect-free pixel, or a limit is outside (0, 1].
    """
    limits = checked_fpr_limits(fpr_limits)
    curve = spro_curve(parts, names=names)
    return {limit: curve.auc(limit) for limit in limits}


def curve_of(parts: Sequence[SproAccumulator], *, points: int = 200) -> tuple[Floats, Floats]:
    """Points of the FPR-sPRO curve of some parts, for drawing.

    Args:
        parts: The parts, each image in one of them.
        points: Number of points, 2 or more.

    Returns:
        False positive rates and heights, float64 of shape ``(points,)``, both ascending and on the exact curve, from
        rate 0 to (1, 1). Rates are 0 and logarithmically spaced from 1e-4 on.

    Raises:
        ValueError: If there is no image, no defect or no defect-free pixel, or fewer than 2 points are asked for.
    """
    if points < 2:
        msg = f"points must be 2 or more, got {points}"
        raise ValueError(msg)
    rates = np.append(0, np.geomspace(1, _LEAST_DRAWN_FPR, points - 1)[::-1])
    return rates, spro_curve(parts).heights(rates)
