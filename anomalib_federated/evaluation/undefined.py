"""Figures that may not be defined: their mean and their text."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

NOT_DEFINED = "not defined"


def mean(values: Sequence[float | None]) -> float | None:
    """Mean, which is defined only if there are values and all are.

    Example:
        >>> mean([0.5, 1.0]), mean([0.5, None]), mean([])
        (0.75, None, None)
    """
    defined = [value for value in values if value is not None]
    return fmean(defined) if defined and len(defined) == len(values) else None


def show(value: float | None) -> str:
    """A figure with three decimals.

    Example:
        >>> show(0.98765), show(None)
        ('0.988', 'not defined')
    """
    return NOT_DEFINED if value is None else f"{value:.3f}"
