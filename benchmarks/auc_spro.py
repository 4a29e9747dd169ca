"""Time the exact AUC-sPRO against sampled thresholds, and print one JSON line.

The comparison works as the common evaluation scripts do: at most 1050 thresholds, each compared with every pixel of
every image. It starts from 50 thresholds spread evenly over the scores, then halves the widest step of the false
positive rate.

Example:
    python benchmarks/auc_spro.py --images 60 --size 400
"""

from __future__ import annotations

import argparse
import heapq
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from itertools import pairwise
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from anomalib_federated.metrics import FPR_LIMITS, Defect, auc_spro

T = TypeVar("T")
Maps = list[npt.NDArray[np.float32]]


def made_up_images(images: int, size: int, seed: int) -> tuple[Maps, list[list[Defect]]]:
    """Smooth random maps; every third image has two defects, round and raised by a random amount."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size]
    maps, defects = [], []
    for index in range(images):
        coarse = np.repeat(np.repeat(rng.normal(size=(20, 20)), -(-size // 20), 0), -(-size // 20), 1)[:size, :size]
        scores = smoothed(coarse, passes=8, reach=max(size // 40, 1)) + 0.1 * rng.normal(size=(size, size))
        of_image = []
        for _ in range(2 if index % 3 == 0 else 0):
            row, column = rng.integers(size, size=2)
            mask = (rows - row) ** 2 + (columns - column) ** 2 <= (size * rng.uniform(0.02, 0.1)) ** 2
            scores[mask] += rng.uniform(0, 2)
            of_image.append(Defect(mask, max(int(mask.sum() * rng.uniform(0.3, 1)), 1)))
        maps.append(scores.astype(np.float32))
        defects.append(of_image)
    return maps, defects


def smoothed(scores: npt.NDArray[np.float64], passes: int, reach: int) -> npt.NDArray[np.float64]:
    """Average with neighbours on both sides, wrapping around."""
    for axis in [0, 1] * passes:
        scores = (scores + np.roll(scores, reach, axis) + np.roll(scores, -reach, axis)) / 3
    return scores


def sampled_auc_spro(maps: Maps, defects: list[list[Defect]], steps: int) -> dict[float, float]:
    """AUC-sPRO from at most ``steps + 50`` thresholds, each compared with all pixels."""
    stack = np.stack(maps)
    free = np.stack(
        [~np.any([np.zeros(m.shape, bool), *(d.mask for d in of)], 0) for m, of in zip(maps, defects, strict=True)]
    )
    above = np.empty_like(free)
    normal = int(free.sum())

    def point(threshold: float) -> tuple[float, float]:
        np.greater(stack, np.float32(threshold), out=above)
        found = [
            min(int(np.count_nonzero(above[image] & defect.mask)) / defect.saturation_area, 1)
            for image, of_image in enumerate(defects)
            for defect in of_image
        ]
        np.logical_and(above, free, out=above)
        return int(np.count_nonzero(above)) / normal, float(np.mean(found))

    low, high = float(stack.min()), float(stack.max())
    thresholds = np.linspace(np.nextafter(np.float32(low), np.float32(-np.inf)), high, 50).tolist()
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
    return {limit: area_up_to(curve[:, 0], curve[:, 1], limit) for limit in FPR_LIMITS}


def area_up_to(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], limit: float) -> float:
    """Area under the polyline up to the limit, divided by it."""
    inside = x <= limit
    end = np.interp(limit, x, y)
    return float(np.trapezoid(np.append(y[inside], end), np.append(x[inside], limit))) / limit


def timed(call: Callable[[], T], repeats: int) -> tuple[float, T]:
    """Median CPU seconds and the result."""
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        result = call()
        seconds.append(time.process_time() - start)
    return statistics.median(seconds), result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=60, help="number of maps, a third of them with defects")
    parser.add_argument("--size", type=int, default=400, help="height and width of a map in pixels")
    parser.add_argument("--seed", type=int, default=0, help="seed of the maps")
    parser.add_argument("--repeats", type=int, default=3, help="runs of the exact method; their median counts")
    parser.add_argument("--steps", type=int, default=1000, help="thresholds of the comparison beyond its first 50")
    args = parser.parse_args()
    if min(args.images, args.size, args.repeats) < 1 or args.steps < 0:
        parser.error("--images, --size and --repeats must be 1 or more, --steps 0 or more")
    maps, defects = made_up_images(args.images, args.size, args.seed)
    exact_seconds, exact = timed(lambda: auc_spro(maps, defects), args.repeats)
    sampled_seconds, sampled = timed(lambda: sampled_auc_spro(maps, defects, args.steps), 1)
    report = {
        "benchmark": "auc_spro",
        "compared_with": f"{args.steps + 50} sampled thresholds, each compared with every pixel (numpy)",
        "images": args.images,
        "size": args.size,
        "unit": "CPU seconds",
        "exact_seconds": round(exact_seconds, 4),
        "exact_repeats": args.repeats,
        "sampled_seconds": round(sampled_seconds, 4),
        "sampled_repeats": 1,
        "ratio": round(sampled_seconds / exact_seconds, 2),
        "exact": exact,
        "sampled": sampled,
        "max_abs_difference": max(abs(exact[limit] - sampled[limit]) for limit in FPR_LIMITS),
        "seed": args.seed,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.machine()} {platform.processor()}".strip(),
        "cpus": os.cpu_count(),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
