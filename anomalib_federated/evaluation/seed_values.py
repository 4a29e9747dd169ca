"""One figure out of many results: its values by method, category and seed."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import TypeAlias

from anomalib_federated.evaluation.figures import HEADLINES, Interval
from anomalib_federated.evaluation.results import Result

SeedValues: TypeAlias = dict[tuple[str, str], dict[int, float]]
"""By method and category, and in there by seed; empty in there if no seed has the figure."""


def seed_values(results: Sequence[Result], figure: str) -> SeedValues:
    """Take one figure out of results; their order changes nothing.

    Args:
        results: Of any methods, categories and seeds.
        figure: One of :func:`figure_labels`.

    Raises:
        ValueError: If there are no results, none knows the figure, a value is not finite, or two results are of the
            same method, category and seed.
    """
    if figure not in (known := figure_labels(results)):
        msg = f"There is no figure {figure!r}; choose one of {', '.join(known)}."
        raise ValueError(msg)
    seen: set[tuple[str, str, int]] = set()
    values: SeedValues = {}
    for result in sorted(results, key=lambda result: (result.method, result.category, result.seed)):
        key, where = (result.method, result.category, result.seed), f"{result.method} on {result.category}"
        if key in seen:
            msg = f"There are two results of {where} with seed {result.seed}; give each once (do the folders overlap?)."
            raise ValueError(msg)
        seen.add(key)
        of_cell = values.setdefault((result.method, result.category), {})
        if (value := _value(result, figure)) is None:
            continue
        if not isfinite(value):
            msg = f"{figure} of {where} with seed {result.seed} is {value}; figures are finite: measure again."
            raise ValueError(msg)
        of_cell[result.seed] = value
    return values


def figure_labels(results: Sequence[Result]) -> dict[str, str]:
    """Figures that these results can have, by name, and in words: the headlines first.

    Raises:
        ValueError: If there are no results.
    """
    if not results:
        msg = "There are no results; evaluate a model first."
        raise ValueError(msg)
    limits = {limit for result in results for limit in result.figures.localization.auc_spro or {}}
    wished = {point.tnr for result in results for point in result.figures.operating_points}
    return (
        HEADLINES
        | {"pixel_average_precision": "pixel AP"}
        | {f"auc_spro@{limit}": f"AUC-sPRO@{limit}" for limit in sorted(limits, key=float)}
        | {f"tpr@tnr{tnr:g}": f"TPR at {100 * tnr:g} % TNR" for tnr in sorted(wished, reverse=True)}
    )


def intervals_of(results: Sequence[Result], figure: str) -> dict[tuple[str, str, int], Interval]:
    """Bootstrap intervals of a figure by method, category and seed, of the results that have one."""
    return {
        (result.method, result.category, result.seed): result.figures.intervals[figure]
        for result in results
        if figure in result.figures.intervals
    }


def _value(result: Result, figure: str) -> float | None:
    try:
        return result.figures.headline(figure)
    except KeyError:  # a limit of the false positive rate that only other results have
        return None
