"""All indices of one figure over groups at once."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean

from anomalib_federated.evaluation.fairness.figures import Indices, higher_is_better
from anomalib_federated.evaluation.fairness.indices import (
    coefficient_of_variation,
    defined,
    gap,
    jain,
    ratio,
    standard_deviation,
    variance,
    worst,
)


def indices_of(figure: str, values: Mapping[str, float | None]) -> Indices | None:
    """How far groups lie apart in a figure.

    Args:
        figure: Its name; it decides which group is the worst.
        values: Of the groups, by their names; ``None`` where a group does not define the figure.

    Returns:
        ``None`` if fewer than two groups define it: there is nothing to compare.

    Raises:
        ValueError: If a value is not finite.

    Example:
        >>> found = indices_of("fpr@tnr0.95", {"a": 0.25, "b": 0.0, "c": None})
        >>> found.worst, found.gap, found.ratio, found.left_out
        ('a', 0.25, None, ('c',))
    """
    known, left_out = defined(values)
    if len(known) < 2:
        return None
    numbers, higher = list(known.values()), higher_is_better(figure)
    lowest, highest = worst(known, higher_is_better=higher), worst(known, higher_is_better=not higher)
    return Indices(
        groups=len(known),
        left_out=left_out,
        worst=lowest,
        worst_value=known[lowest],
        best=highest,
        best_value=known[highest],
        gap=gap(numbers),
        mean=fmean(numbers),
        jain=jain(numbers),
        variance=variance(numbers),
        standard_deviation=standard_deviation(numbers),
        coefficient_of_variation=coefficient_of_variation(numbers),
        ratio=ratio(numbers),
    )
