"""Definitions in plain Python, and made-up images to compare with them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import strategies as st

from anomalib_federated.metrics import FPR_LIMITS, Defect, SproAccumulator

DTYPES = ["float64", "float32", "float16", ">f4", "int64", "uint64", "int32", "int8", "uint8", "bool"]


def reference_curve(maps, defects, names=None):
    """The definition: each distinct score is a threshold, strict >, in plain Python."""
    lists = [np.asarray(scores).tolist() for scores in maps]
    normal, channels = [], []
    for scores, of_image in zip(lists, defects, strict=True):
        rows, columns = range(len(scores)), range(len(scores[0]))
        masks = [defect.mask.tolist() for defect in of_image]
        normal += [scores[r][c] for r in rows for c in columns if not any(mask[r][c] for mask in masks)]
        for defect, mask in zip(of_image, masks, strict=True):
            if names is not None and defect.name not in names:
                continue
            channels.append(([scores[r][c] for r in rows for c in columns if mask[r][c]], defect.saturation_area))
    thresholds = sorted({score for scores in lists for row in scores for score in row}, reverse=True)
    x, y = [], []
    for index in range(len(thresholds) + 1):
        # Below the lowest score everything is found; "None" stands for that threshold.
        threshold = thresholds[index] if index < len(thresholds) else None
        found = [sum(threshold is None or score > threshold for score in scores) for scores, _ in channels]
        share = [min(Fraction(n, area), 1) for n, (_, area) in zip(found, channels, strict=True)]
        x.append(sum(threshold is None or score > threshold for score in normal) / len(normal))
        y.append(float(sum(share, Fraction(0)) / len(channels)))
    return x, y


def reference(maps, defects, limits=FPR_LIMITS, names=None):
    """AUC-sPRO by trapezoids up to each limit."""
    x, y = reference_curve(maps, defects, names)
    areas = {}
    for limit in limits:
        inside = [(a, b) for a, b in zip(x, y, strict=True) if a <= limit]
        outside = [(a, b) for a, b in zip(x, y, strict=True) if a > limit]
        if outside:
            (xa, ya), (xb, yb) = inside[-1], outside[0]
            inside.append((limit, ya + (yb - ya) * (limit - xa) / (xb - xa)))
        points = np.array(inside)
        areas[limit] = float(np.trapezoid(points[:, 1], points[:, 0])) / limit
    return areas


@st.composite
def cases(draw, dtypes=DTYPES):
    """Images of differing sizes with ties, overlapping channels and any saturation, the first with a defect."""
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    levels = draw(st.sampled_from([1, 2, 3, 10, 10_000]))
    maps, defects = [], []
    for image in range(draw(st.integers(1, 4))):
        shape = (draw(st.integers(2, 7)), draw(st.integers(2, 7)))
        quantised = rng.integers(levels, size=shape)
        scores = quantised / levels if dtype.kind == "f" else quantised % 100
        maps.append((scores if dtype.kind in "ub" else scores - 0.5 * (dtype.kind == "f") - 20).astype(dtype))
        of_image = []
        for _ in range(draw(st.integers(1 if image == 0 else 0, 3))):
            mask = rng.random(shape) < draw(st.sampled_from([0.1, 0.5]))
            mask[0, 0], mask[-1, -1] = True, False
            area = int(mask.sum())
            of_image.append(Defect(mask, draw(st.integers(1, area)), draw(st.sampled_from(["dent", "scratch"]))))
        defects.append(of_image)
    return maps, defects


def in_parts(maps, defects, part_of):
    """Accumulators of the images, cut by the number in ``part_of``; some may be empty."""
    parts = [SproAccumulator() for _ in range(max(part_of) + 1)]
    for pair, part in zip(zip(maps, defects, strict=True), part_of, strict=True):
        parts[part].add(*pair)
    return parts


def assert_close(actual, expected, tolerance=1e-9):
    assert list(actual) == list(expected)
    for limit, value in expected.items():
        assert abs(actual[limit] - value) <= tolerance, (limit, actual[limit], value)
