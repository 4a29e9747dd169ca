"""Scores far out among others: of what is said to be good, the pictures to look at again.

Example:
    >>> far_out([0.30, 0.31, 0.32, 0.33, 0.34, 0.35, 0.80])
    [6]
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import quantiles

_FENCE = 3.0
_FEWEST = 5


def far_out(scores: Sequence[float]) -> list[int]:
    """Which scores lie above the upper quartile by more than three times the distance of the quartiles.

    Source: Tukey, "Exploratory Data Analysis", 1977. A normalised score says little of how far it is from others near
    1, so distances are those of raw scores.

    Args:
        scores: Normalised scores, in 0 .. 1.

    Returns:
        Their positions, the highest score first; none of fewer than five scores.
    """
    if len(scores) < _FEWEST:
        return []
    raw = [score / max(1 - score, 1e-9) for score in scores]
    lower, _, upper = quantiles(raw, n=4, method="inclusive")
    fence = upper + _FENCE * (upper - lower)
    return sorted((number for number, value in enumerate(raw) if value > fence), key=lambda number: -raw[number])
