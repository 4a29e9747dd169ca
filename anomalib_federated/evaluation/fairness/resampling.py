"""Resampled figures of groups, all from the same draws, and what they say of gaps.

Pictures of each group are drawn anew, good ones and those of each folder apart, with all their pixels; validation
scores are drawn anew too, so that every group meets the same moved threshold. Pictures that count in every group are
drawn once for all, which pairs the groups.

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
from anomalib_federated.evaluation.fairness.figures import FIGURES, WITHOUT_INTERVAL
from anomalib_federated.evaluation.fairness.group_figures import Members
from anomalib_federated.evaluation.figures import Interval
from anomalib_federated.evaluation.measuring.bootstrap import Evidence, draws, figures_of, interval_of, strata_of

Array: TypeAlias = npt.NDArray[np.float64]
Deviations: TypeAlias = dict[str, dict[str, Array]]
"""Per group and figure, resampled values less the one of all pictures, shape ``(resamples,)``."""

_RADIUS = "covering_p95"


def deviations_of(
    division: Division, members: Mapping[str, Members], evidence: Evidence, *, resamples: int, seed: int
) -> Deviations:
    """How far the figures of each group move when pictures are drawn again.

    Args:
        division: The groups.
        members: Of each.
        evidence: All test images with their pixels, and the validation scores.
        resamples: How many, at least 1.
        seed: Decides the draws; the order of the images does not.
    """
    names = [image.name for image in evidence.images]
    kinds = [(division.label(image.name), image.defect_type) for image in evidence.images]
    positions = {
        group: np.array([at for at, name in enumerate(names) if division.has(name, group)], dtype=np.intp)
        for group in members
    }
    subsets = {group: _subset(evidence, own, localized=members[group].localized) for group, own in positions.items()}
    found: dict[str, list[dict[str, Array]]] = {group: [] for group in members}
    for weights, normal in draws(strata_of(kinds, names), evidence, resamples=resamples, seed=seed):
        for group, own in positions.items():
            found[group].append(_figures(subsets[group], weights[:, own], normal))
    deviations: Deviations = {}
    normal = np.ones((1, len(evidence.validation_scores)))
    for group, blocks in found.items():
        once = _figures(subsets[group], np.ones((1, len(positions[group]))), normal)
        deviations[group] = {
            name: np.concatenate([block[name] for block in blocks]) - value[0] for name, value in once.items()
        }
        if members[group].distances:
            generator = np.random.default_rng([seed, *group.encode()])
            deviations[group][_RADIUS] = _radius_deviations(
                list(members[group].distances.values()), generator, resamples=resamples
            )
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
        name: interval_of(value + deviations[name], confidence=confidence, most=_most(name))
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


def _figures(evidence: Evidence, weights: Array, validation_weights: Array) -> dict[str, Array]:
    return figures_of(evidence, weights, validation_weights, names=list(FIGURES))


def _radius_deviations(distances: Sequence[Distances], generator: np.random.Generator, *, resamples: int) -> Array:
    radius, pictures = ResampledRadius(distances), len(distances)
    weights = generator.multinomial(pictures, np.full(pictures, 1 / pictures), size=resamples).astype(np.float64)
    moved: Array = radius(weights) - radius(np.ones((1, pictures)))[0]
    return moved
