"""Resampled figures of groups, all from the same draws, and what they say of gaps.

Pictures of each group are drawn anew, good and defective ones apart, with all their pixels; validation scores are drawn
anew too, so that every group meets the same moved threshold. Pictures that count in every group are drawn once for all,
which pairs the groups. Rates are drawn as :mod:`anomalib_federated.evaluation.fairness.rates` says; a figure that rests
on fewer than :data:`FEWEST` pictures of a kind gets no interval, since so few drawn again tell too little.

A gap needs more care than a figure. The largest less the smallest of resampled values is never below 0 and grows with
the noise, so its percentiles would call any groups different. Instead the interval is ``gap - c`` to ``gap + c``, where
``c`` is the quantile of the range of all groups' deviations, ``max_g (x*_g - x_g) - min_g (x*_g - x_g)``: with the
confidence no difference between any two groups is misjudged by more than ``c``. It holds 0 where nothing but chance
need part the groups, however many there are; where they differ it is on the wide side.

Source: Tukey, "The Problem of Multiple Comparisons", 1953 (simultaneous intervals from the range), with the bootstrap
in place of the normal distribution as in Westfall and Young, "Resampling-Based Multiple Testing", 1993.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from anomalib_federated.evaluation.fairness.covering import Distances, ResampledRadius
from anomalib_federated.evaluation.fairness.division import Division
from anomalib_federated.evaluation.fairness.figures import FIGURES, TNRS, WITHOUT_INTERVAL
from anomalib_federated.evaluation.fairness.group_figures import Members
from anomalib_federated.evaluation.fairness.rates import drawn_rates
from anomalib_federated.evaluation.figures import Interval
from anomalib_federated.evaluation.measuring.bootstrap import (
    Evidence,
    draws,
    figures_of,
    interval_of,
    strata_of,
    thresholds_of,
)

Array: TypeAlias = npt.NDArray[np.float64]
Deviations: TypeAlias = dict[str, dict[str, Array]]
"""Per group and figure, resampled values less the one of all pictures, shape ``(resamples,)``."""

FEWEST = 5
"""Pictures of a kind (good, defective, held out) below which nothing but rates gets an interval."""

_RADIUS = "covering_p95"
_RANKED = tuple(name for name in FIGURES if "@tnr" not in name and not name.startswith("covering_"))


def deviations_of(
    division: Division,
    members: Mapping[str, Members],
    exact: Mapping[str, Mapping[str, float | None]],
    evidence: Evidence,
    *,
    resamples: int,
    seed: int,
) -> Deviations:
    """How far the figures of each group move when pictures are drawn again.

    Args:
        division: The groups.
        members: Of each.
        exact: Their figures.
        evidence: All test images with their pixels, and the validation scores.
        resamples: How many, at least 1.
        seed: Decides the draws; the order of the images does not.
    """
    names = [image.name for image in evidence.images]
    kinds = [(division.label(image.name), "good" if image.good else "defective") for image in evidence.images]
    positions = {
        group: np.array([at for at, name in enumerate(names) if division.has(name, group)], dtype=np.intp)
        for group in members
    }
    ranked = {
        group: _subset(evidence, positions[group], localized=own.localized)
        for group, own in members.items()
        if _enough(own)
    }
    found: dict[str, list[dict[str, Array]]] = {group: [] for group in ranked}
    thresholds: dict[float, list[Array]] = {tnr: [] for tnr in TNRS if evidence.validation_scores}
    for weights, normal in draws(strata_of(kinds, names), evidence, resamples=resamples, seed=seed):
        for tnr, blocks in thresholds.items():
            blocks.append(thresholds_of(evidence.validation_scores, normal, tnr=tnr))
        for group, subset in ranked.items():
            found[group].append(_figures(subset, weights[:, positions[group]]))
    moved = {tnr: np.concatenate(blocks) for tnr, blocks in thresholds.items()}
    deviations: Deviations = {}
    for group, own in members.items():
        drawn = drawn_rates(own.images, moved, np.random.default_rng([seed, *group.encode()]))
        rates = {name: values - known for name, values in drawn.items() if (known := exact[group][name]) is not None}
        deviations[group] = _ranked_deviations(found.get(group, ()), ranked.get(group)) | rates
        if len(own.distances) >= FEWEST:
            generator = np.random.default_rng([seed, *group.encode()])
            deviations[group][_RADIUS] = _radius_deviations(list(own.distances.values()), resamples, generator)
    return deviations


def intervals_of(
    exact: Mapping[str, float | None], deviations: Mapping[str, Array], *, confidence: float
) -> dict[str, Interval]:
    """Percentile intervals of a group's figures.

    Args:
        exact: Its figures.
        deviations: Of them.
        confidence: Of the intervals.
    """
    return {
        name: _around(value, interval_of(value + deviations[name], confidence=confidence, most=_most(name)))
        for name, value in exact.items()
        if value is not None and name != WITHOUT_INTERVAL and name in deviations
    }


def gap_interval(gap: float, deviations: Sequence[Array], *, confidence: float, most: float | None = None) -> Interval:
    """Interval of the gap of some groups in a figure.

    Args:
        gap: Largest value less smallest.
        deviations: Of each group, all from the same draws, shape ``(resamples,)``.
        confidence: Of the interval.
        most: What a gap cannot exceed.

    Example:
        >>> interval = gap_interval(0.25, [np.array([0.25, -0.25]), np.zeros(2)], confidence=0.95)
        >>> interval.low, interval.high
        (0.0, 0.5)
    """
    moved = np.stack(deviations)
    reach = float(np.quantile(moved.max(axis=0) - moved.min(axis=0), confidence))
    high = gap + reach if most is None else min(gap + reach, most)
    return Interval(low=max(gap - reach, 0.0), high=high)


def gap_interval_of(
    figure: str, gap: float, groups: Sequence[str], deviations: Deviations, *, confidence: float
) -> Interval | None:
    """Interval of the gap of these groups in a figure; ``None`` for a figure that can have none."""
    if figure == WITHOUT_INTERVAL or any(figure not in deviations[group] for group in groups):
        return None
    moved = [deviations[group][figure] for group in groups]
    return gap_interval(gap, moved, confidence=confidence, most=_most(figure))


def _most(figure: str) -> float | None:
    return None if figure == _RADIUS else 1.0


def _subset(evidence: Evidence, positions: npt.NDArray[np.intp], *, localized: bool) -> Evidence:
    pixels = evidence.pixels.of(positions) if evidence.pixels is not None and localized else None
    return Evidence(
        images=[evidence.images[at] for at in positions.tolist()],
        pixels=pixels,
        validation_scores=evidence.validation_scores,
    )


def _enough(members: Members) -> bool:
    """Whether there are pictures enough to draw them again."""
    good = sum(image.good for image in members.images)
    return min(good, len(members.images) - good) >= FEWEST


def _around(value: float, interval: Interval) -> Interval:
    """The interval, stretched to its own figure, which resampled ones may all lie on one side of."""
    return Interval(low=min(interval.low, value), high=max(interval.high, value))


def _figures(evidence: Evidence, weights: Array) -> dict[str, Array]:
    return figures_of(evidence, weights, np.ones((1, len(evidence.validation_scores))), names=_RANKED)


def _ranked_deviations(blocks: Sequence[dict[str, Array]], evidence: Evidence | None) -> dict[str, Array]:
    if evidence is None:
        return {}
    once = _figures(evidence, np.ones((1, len(evidence.images))))
    return {name: np.concatenate([block[name] for block in blocks]) - value[0] for name, value in once.items()}


def _radius_deviations(distances: Sequence[Distances], resamples: int, generator: np.random.Generator) -> Array:
    radius, pictures = ResampledRadius(distances), len(distances)
    weights = generator.multinomial(pictures, np.full(pictures, 1 / pictures), size=resamples).astype(np.float64)
    moved: Array = radius(weights) - radius(np.ones((1, pictures)))[0]
    return moved
