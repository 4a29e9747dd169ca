"""The categories as groups: how alike a method serves them, from results that are there already."""

from __future__ import annotations

from collections.abc import Sequence

from anomalib_federated.evaluation.fairness.figures import FIGURES, Indices
from anomalib_federated.evaluation.fairness.summary import indices_of
from anomalib_federated.evaluation.results import Result, of_method
from anomalib_federated.evaluation.undefined import mean


def across_categories(results: Sequence[Result], method: str) -> dict[str, Indices]:
    """Indices of a method's figures over its categories, each of them a mean over seeds.

    Thresholds are each category's own, set for the same TNR. Gaps have no interval: results keep no resamples.

    Args:
        results: Of any methods, categories and seeds.
        method: The method.

    Returns:
        By figure; absent where fewer than two categories define it.
    """
    own = of_method(results, method)
    by_category = {name: [result for result in own if result.category == name] for name in sorted(_categories(own))}
    found = {}
    for figure in FIGURES:
        values = {name: mean([value_of(result, figure) for result in seeds]) for name, seeds in by_category.items()}
        if (indices := indices_of(figure, values)) is not None:
            found[figure] = indices
    return found


def value_of(result: Result, figure: str) -> float | None:
    """A result's figure of a whole category by its name; ``None`` if it does not tell it."""
    if figure.startswith("fpr@tnr"):
        wished = float(figure.removeprefix("fpr@tnr"))
        passed = next((point.test_tnr for point in result.figures.operating_points if point.tnr == wished), None)
        return None if passed is None else 1 - passed
    try:
        return result.figures.headline(figure)
    except KeyError:
        return None


def _categories(results: Sequence[Result]) -> set[str]:
    return {result.category for result in results}
