"""AUC-sPRO computed exactly, from sampled thresholds, and by the evaluation code of AutoVI.

Each function is called in a process of its own.
"""

from __future__ import annotations

import heapq
import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from importlib import import_module
from itertools import pairwise, tee
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from auc_spro_cost import Cost, OffTheClock, cost_of
from auc_spro_images import ScoredImage, ScoredImages

from anomalib_federated.metrics import FPR_LIMITS, Defect, auc_spro

Areas = dict[float, float]
CURVE_MAX_DISTANCE = 0.001
"""The default of the AutoVI evaluation."""


def exact(images: ScoredImages) -> Cost[Areas]:
    """Exactly, from a stream: the making of the maps is in the memory, but not in the time."""
    next(images.stream())  # what making a map needs once is resident before

    def call(off: OffTheClock) -> Areas:
        maps, defects = tee(off.take(images.stream()))
        return auc_spro((scores for scores, _ in maps), (of_image for _, of_image in defects))

    return cost_of(call)


def sampled(images: ScoredImages, steps: int) -> Cost[Areas]:
    """From at most ``steps + 50`` thresholds, each compared with all pixels; the maps lie in memory before."""
    held = list(images.stream())
    return cost_of(lambda _: _sampled(held, steps))


def official(images: ScoredImages, checkout: Path) -> Cost[tuple[Areas, int, bool]]:
    """By the evaluation code of AutoVI as it stands; the maps lie in memory before.

    It gets whole numbers as they are read from PNG, and made-up maps in float64, which it compares fastest and safest.

    Returns:
        The areas, the number of thresholds and whether the first of them had to be chosen here.
    """
    sys.path.insert(0, str(checkout))
    aggregation, image, util = (import_module(f"src.{name}") for name in ("aggregation", "image", "util"))

    def truth(defects: Sequence[Defect]) -> Any:
        configs = [
            image.DefectConfig("defect", 1, defect.saturation_area, relative_saturation=False) for defect in defects
        ]
        masks = [defect.mask[:, :, None] for defect in defects]
        return image.GroundTruthMap([image.GroundTruthChannel(*pair) for pair in zip(masks, configs, strict=True)])

    held = list(images.stream())
    maps = [image.AnomalyMap(scores if scores.dtype.kind == "u" else scores.astype(np.float64)) for scores, _ in held]
    aggregator = aggregation.MetricsAggregator([truth(of) if of else None for _, of in held], maps)
    unequal = len({scores.shape for scores, _ in held}) > 1
    if unequal:
        # It asserts that all maps have the size of the first; all else of it takes any.
        first = _first_thresholds([scores for scores, _ in held])
        aggregator._get_initial_thresholds = lambda: first  # noqa: SLF001 - the only way in
    del held

    def call(_: OffTheClock) -> Any:
        with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
            metrics = aggregator.run(curve_max_distance=CURVE_MAX_DISTANCE)
        rates, heights = metrics.get_fp_rates(), metrics.get_mean_spros()
        areas = {limit: float(util.get_auc_for_max_fpr(rates, heights, limit)) for limit in FPR_LIMITS}
        return areas, len(metrics.anomaly_thresholds), unequal

    return cost_of(call)


def _first_thresholds(maps: Sequence[npt.NDArray[Any]]) -> list[float]:
    """Fifty scores at equal steps of their rank, from the greatest down; the outer two just outside."""
    scores = np.sort(np.concatenate([scores.ravel() for scores in maps]).astype(np.float64))
    chosen = scores[np.linspace(0, len(scores) - 1, 50).astype(int)]
    chosen[0], chosen[-1] = chosen[0] - 1e-6, chosen[-1] + 1e-6
    return sorted(set(chosen.tolist()), reverse=True)


def _sampled(images: Sequence[ScoredImage], steps: int) -> Areas:
    """Starts from 50 thresholds spread evenly over the scores, then halves the widest step of the rate."""
    free = [~np.any([np.zeros(m.shape, bool), *(d.mask for d in of)], 0) for m, of in images]
    normal = sum(int(pixels.sum()) for pixels in free)

    def point(threshold: float) -> tuple[float, float]:
        false_positives, found = 0, []
        for (scores, defects), pixels in zip(images, free, strict=True):
            above = scores > threshold
            false_positives += int(np.count_nonzero(above & pixels))
            found += [min(int(np.count_nonzero(above & d.mask)) / d.saturation_area, 1) for d in defects]
        return false_positives / normal, float(np.mean(found))

    low, high = min(float(m.min()) for m, _ in images), max(float(m.max()) for m, _ in images)
    thresholds = np.linspace(np.nextafter(low, -np.inf), high, 50).tolist()
    points = {threshold: point(threshold) for threshold in thresholds}
    steps_wide = [(points[b][0] - points[a][0], a, b) for a, b in pairwise(thresholds)]
    heapq.heapify(steps_wide)
    for _ in range(steps):
        _, left, right = heapq.heappop(steps_wide)
        middle = (left + right) / 2
        points[middle] = point(middle)
        for a, b in ((left, middle), (middle, right)):
            heapq.heappush(steps_wide, (points[b][0] - points[a][0], a, b))
    curve = np.array([points[threshold] for threshold in sorted(points, reverse=True)])
    return {limit: _area_up_to(curve[:, 0], curve[:, 1], limit) for limit in FPR_LIMITS}


def _area_up_to(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], limit: float) -> float:
    """Area under the polyline up to the limit, divided by it."""
    inside = x <= limit
    end = np.interp(limit, x, y)
    return float(np.trapezoid(np.append(y[inside], end), np.append(x[inside], limit))) / limit
