"""Percentile bootstrap over images: how far each figure would move with other images of the same kind.

Every resample draws, with replacement, as many good images as there are, as many defective ones of each folder, and as
many validation images: strata keep the mixture of the test set, and the thresholds of the operating points carry the
uncertainty of the few images that set them. Pixels are not drawn one by one: those of one image are no independent
evidence, so an image brings all of its pixels or none.

A figure of pixels is computed on the cells of :mod:`anomalib_federated.evaluation.measuring.pixel_counts`; what that
differs from the exact figure on all images is added to each resample, so the interval is one of the exact figure.

Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 13 (percentile intervals) and 8.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anomalib_federated.evaluation.figures import HEADLINES, ImageFigures, Interval
from anomalib_federated.evaluation.measuring.pixel_counts import PixelGrid
from anomalib_federated.false_alarms import expecting

Array = npt.NDArray[np.float64]

FIGURES = (*HEADLINES, "pixel_average_precision")
"""The figures that get an interval."""

_BLOCK_NUMBERS = 2_000_000
"""Numbers per array while resampling: 16 MB."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Evidence:
    """All that figures are computed from.

    Attributes:
        images: Test images.
        pixels: Their pixels, in the same order; ``None`` if figures of pixels are not defined.
        validation_scores: Raw scores of normal validation images.
    """

    images: Sequence[ImageFigures]
    pixels: PixelGrid | None = None
    validation_scores: Sequence[float] = ()


def bootstrap(
    evidence: Evidence,
    exact: Mapping[str, float],
    *,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> dict[str, Interval]:
    """Intervals of figures.

    Args:
        evidence: Images and validation scores.
        exact: The figures that are defined, by names of :data:`FIGURES`, computed on all images.
        resamples: How many; none gives no interval.
        confidence: Of the intervals, in (0, 1).
        seed: Decides the resamples; the order of the images does not.

    Returns:
        Per figure of ``exact``, its interval, within 0 and 1.

    Raises:
        ValueError: If ``resamples`` is negative or the confidence out of range.
        KeyError: If ``exact`` names a figure that the evidence does not define.
    """
    check_settings(resamples=resamples, confidence=confidence)
    if not resamples or not exact:
        return {}
    strata = strata_of([(image.defect_type,) for image in evidence.images], [image.name for image in evidence.images])
    found = [
        figures_of(evidence, weights, validation_weights)
        for weights, validation_weights in draws(strata, evidence, resamples=resamples, seed=seed)
    ]
    once = figures_of(evidence, np.ones((1, len(evidence.images))), np.ones((1, len(evidence.validation_scores))))
    return {
        name: interval_of(
            np.concatenate([part[name] for part in found]) + (value - once[name][0]), confidence=confidence, most=1
        )
        for name, value in exact.items()
    }


def check_settings(*, resamples: int, confidence: float) -> None:
    """Refuse settings of a bootstrap that make no sense.

    Raises:
        ValueError: If ``resamples`` is negative or the confidence out of range.
    """
    if resamples < 0 or not 0 < confidence < 1:
        msg = f"resamples is {resamples} and confidence {confidence}; give 0 or more, and a share between 0 and 1."
        raise ValueError(msg)


def draws(
    strata: Sequence[Sequence[int]], evidence: Evidence, *, resamples: int, seed: int
) -> Iterator[tuple[Array, Array]]:
    """Resamples, in blocks of ``r``.

    Args:
        strata: Positions of images; of each stratum as many are drawn, with replacement, as it has. Every image is in
            one of them.
        evidence: ``n`` images and ``v`` validation scores.
        resamples: How many in all.
        seed: Decides the draws.

    Yields:
        How often each image counts, shape ``(r, n)``, and each validation score, shape ``(r, v)``.
    """
    rng = np.random.default_rng(seed)
    images, normal = len(evidence.images), len(evidence.validation_scores)
    width = max(images, normal, evidence.pixels.free.shape[1] if evidence.pixels else 0)
    block = max(1, _BLOCK_NUMBERS // width)
    for begin in range(0, resamples, block):
        size = min(block, resamples - begin)
        weights = np.empty((size, images))
        for members in strata:
            weights[:, members] = _draw(rng, len(members), size)
        yield weights, _draw(rng, normal, size)


def strata_of(kinds: Sequence[tuple[str, ...]], names: Sequence[str]) -> list[list[int]]:
    """Positions of the images of each kind, in the order of their names; kinds are in order too."""
    strata: dict[tuple[str, ...], list[int]] = {}
    for position in sorted(range(len(names)), key=lambda position: names[position]):
        strata.setdefault(kinds[position], []).append(position)
    return [strata[kind] for kind in sorted(strata)]


def interval_of(values: Array, *, confidence: float, most: float | None = None) -> Interval:
    """Percentile interval of resampled values, shape ``(r,)``, of a figure between 0 and ``most``."""
    low, high = np.quantile(np.clip(values, 0, most), [(1 - confidence) / 2, (1 + confidence) / 2]).tolist()
    return Interval(low=low, high=high)


def figures_of(
    evidence: Evidence, weights: Array, validation_weights: Array, *, names: Sequence[str] = FIGURES
) -> dict[str, Array]:
    """The figures of weighted images.

    Args:
        evidence: ``n`` images and ``v`` validation scores.
        weights: How often each image counts, shape ``(r, n)``; good and defective ones both count in each row.
        validation_weights: How often each validation score counts, shape ``(r, v)``, adding up to ``v``.
        names: Of AUC-sPRO and TPR, those wanted, with any limit (``auc_spro@0.3``) and rate (``tpr@tnr0.99``).

    Returns:
        Per figure that is defined, its values, shape ``(r,)``.
    """
    good = np.array([image.good for image in evidence.images], dtype=bool)
    scores = np.array([image.score for image in evidence.images], dtype=np.float64)
    figures: dict[str, Array] = {}
    if good.any() and not good.all():
        order = np.argsort(-scores, kind="stable")
        first = np.flatnonzero(np.append(True, np.diff(scores[order]) != 0))
        ranked = weights[:, order]
        negatives = np.add.reduceat(ranked * good[order], first, axis=1)
        positives = np.add.reduceat(ranked * ~good[order], first, axis=1)
        figures["image_auroc"] = _auroc(negatives, positives)
        figures["average_precision"] = _average_precision(negatives, positives)
    if len(evidence.validation_scores) and not good.all():
        defective, share = scores[~good], weights[:, ~good]
        for name in (name for name in names if name.startswith("tpr@tnr")):
            tnr = float(name.removeprefix("tpr@tnr"))
            thresholds = thresholds_of(evidence.validation_scores, validation_weights, tnr=tnr)
            found = (share * (defective > thresholds[:, None])).sum(1)
            figures[name] = found / share.sum(1)
    if evidence.pixels is not None:
        figures |= _pixel_figures(evidence.pixels, weights, names)
    return figures


def _pixel_figures(pixels: PixelGrid, weights: Array, names: Sequence[str]) -> dict[str, Array]:
    light = weights.astype(np.float32)
    negatives = (light @ pixels.free).astype(np.float64)
    defective = light[:, pixels.rows]
    positives = (defective @ pixels.covered).astype(np.float64)
    figures = {
        "pixel_auroc": _auroc(negatives, positives),
        "pixel_average_precision": _average_precision(negatives, positives),
    }
    false_positives = np.cumsum(negatives, axis=1)
    fpr = false_positives / false_positives[:, -1:]
    spro = (defective @ pixels.spro).astype(np.float64) / (defective @ pixels.channels)[:, None]
    limits = [name.removeprefix("auc_spro@") for name in names if name.startswith("auc_spro@")]
    areas = _areas(fpr, spro, [float(limit) for limit in limits])
    return figures | {f"auc_spro@{limit}": area for limit, area in zip(limits, areas, strict=True)}


def _auroc(negatives: Array, positives: Array) -> Array:
    """Of counts per score, highest score first, shape ``(r, c)``; ties count half."""
    above = np.cumsum(positives, axis=1) - positives / 2
    area: Array = (negatives * above).sum(1) / (negatives.sum(1) * positives.sum(1))
    return area


def _average_precision(negatives: Array, positives: Array) -> Array:
    """Area under the precision-recall curve by steps, as scikit-learn has it."""
    found = np.cumsum(positives, axis=1)
    called = found + np.cumsum(negatives, axis=1)
    precision = np.divide(found, called, out=np.zeros_like(found), where=called > 0)
    area: Array = (positives * precision).sum(1) / found[:, -1]
    return area


def _areas(fpr: Array, spro: Array, limits: Sequence[float]) -> list[Array]:
    """Areas under polylines from (0, 0) on, up to each limit and divided by it; shapes ``(r, c)``."""
    x = np.pad(fpr, ((0, 0), (1, 0)))
    y = np.pad(spro, ((0, 0), (1, 0)))
    dx, dy = np.diff(x, axis=1), np.diff(y, axis=1)
    whole = np.pad(np.cumsum(dx * (y[:, :-1] + dy / 2), axis=1), ((0, 0), (1, 0)))
    rows, last = np.arange(len(x)), dx.shape[1] - 1
    areas = []
    for limit in limits:
        below = (fpr <= limit).sum(axis=1)
        # The part of the next segment that lies below the limit; there is none where all of the line does.
        cut = np.minimum(below, last)
        width = np.where(below > last, 0, limit - x[rows, cut])
        slope = dy[rows, cut] / np.maximum(dx[rows, cut], np.finfo(np.float64).tiny)
        areas.append((whole[rows, below] + width * (y[rows, cut] + slope * width / 2)) / limit)
    return areas


def thresholds_of(validation_scores: Sequence[float], weights: Array, *, tnr: float) -> Array:
    """The thresholds that validation scores set when they are drawn again.

    Args:
        validation_scores: At least one.
        weights: How often each was drawn, shape ``(r, v)``.
        tnr: Share of normal images that shall pass.

    Returns:
        Shape ``(r,)``.
    """
    scores = np.array(validation_scores, dtype=np.float64)
    order = np.argsort(scores, kind="stable")
    passed = np.cumsum(weights[:, order], axis=1)
    enough = passed > len(scores) - expecting(len(scores), 1 - tnr).rank
    chosen: Array = scores[order][enough.argmax(1)]
    return chosen


def _draw(rng: np.random.Generator, count: int, size: int) -> Array:
    """How often each of ``count`` things is drawn in ``count`` draws with replacement; shape ``(size, count)``."""
    if count == 0:
        return np.empty((size, 0))
    return rng.multinomial(count, np.full(count, 1 / count), size=size).astype(np.float64)
