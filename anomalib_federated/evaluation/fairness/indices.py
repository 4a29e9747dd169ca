"""How unequal one figure is over groups: each index a pure function of the groups' values.

None of them says why groups differ, and none is of use without the values: two groups at 0.3 are perfectly equal.

Example:
    >>> values = {"line 1": 0.9, "line 2": 0.6, "line 3": None}
    >>> known, left_out = defined(values)
    >>> worst(known), round(gap(known.values()), 3), left_out
    ('line 2', 0.3, ('line 3',))
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from statistics import fmean, pvariance

Values = Collection[float]


def defined(values: Mapping[str, float | None]) -> tuple[dict[str, float], tuple[str, ...]]:
    """The groups that have a value, and the names of those that have none: these are left out, never counted as 0.

    Raises:
        ValueError: If a value is not finite.
    """
    for name, value in values.items():
        if value is not None and not math.isfinite(value):
            msg = f"The figure of group '{name}' is {value}; leave it out by None, or measure again."
            raise ValueError(msg)
    known = {name: value for name, value in values.items() if value is not None}
    return known, tuple(sorted(values.keys() - known.keys()))


def worst(values: Mapping[str, float], *, higher_is_better: bool = True) -> str:
    """The group with the lowest value, or with the highest of a figure that shall be low; the first name of a tie.

    Worst-group performance: Sagawa et al., "Distributionally Robust Neural Networks for Group Shifts", ICLR 2020.
    """
    _check(values)
    return min(sorted(values), key=lambda name: values[name] if higher_is_better else -values[name])


def gap(values: Values) -> float:
    """``max - min``: 0 if all groups are equal.

    Example:
        >>> gap([0.5, 1.0, 0.75])
        0.5
    """
    _check(values)
    return max(values) - min(values)


def equal_opportunity_difference(tpr: Values) -> float:
    """Gap of the groups' true positive rates at one common threshold: who has their defects found?

    ``max_g P(called | defective, g) - min_g P(called | defective, g)``.

    Source: Hardt, Price and Srebro, "Equality of Opportunity in Supervised Learning", NeurIPS 2016.
    """
    return gap(tpr)


def predictive_equality_difference(fpr: Values) -> float:
    """Gap of the groups' false positive rates at one common threshold: who bears the false alarms?

    ``max_g P(called | good, g) - min_g P(called | good, g)``.

    Source: Corbett-Davies et al., "Algorithmic Decision Making and the Cost of Fairness", KDD 2017.
    """
    return gap(fpr)


def demographic_parity_difference(called: Values) -> float:
    """Gap of the shares that are called defective, right or wrong, at one common threshold.

    ``max_g P(called | g) - min_g P(called | g)``. Groups that really differ in their share of defects differ in it
    though they are treated alike, so read it only where the shares of defects are the same.

    Source: Dwork et al., "Fairness Through Awareness", ITCS 2012; the definition is that of Fairlearn.
    """
    return gap(called)


def jain(values: Values) -> float | None:
    """Jain's index, ``(sum x)^2 / (m sum x^2)``: from ``1 / m`` (one group has all) to 1 (all equal).

    It was made for shares of a resource. **Of scores between 0.5 and 1 it is near 1 whatever they are** (0.9 and 0.6
    give 0.96), so never read it alone. ``None`` if all values are 0.

    Source: Jain, Chiu and Hawe, "A Quantitative Measure of Fairness and Discrimination for Resource Allocation", DEC
    TR-301, 1984.

    Raises:
        ValueError: If a value is negative.

    Example:
        >>> jain([1.0, 1.0]), jain([1.0, 0.0]), round(jain([0.9, 0.6]), 3), jain([0.0, 0.0])
        (1.0, 0.5, 0.962, None)
    """
    _check(values)
    if min(values) < 0:
        msg = f"Jain's index is of values that are not negative, got {min(values)}."
        raise ValueError(msg)
    if not (most := max(values)):
        return None
    shares = [value / most for value in values]  # tiny values have no square
    return math.fsum(shares) ** 2 / (len(shares) * math.fsum(share * share for share in shares))


def variance(values: Values) -> float:
    """Population variance, ``sum (x - mean)^2 / m``: the groups are all there are, no sample of others.

    Example:
        >>> variance([0.5, 1.0])
        0.0625
    """
    _check(values)
    return pvariance(values)


def standard_deviation(values: Values) -> float:
    """Root of the population :func:`variance`, in the unit of the figure.

    Example:
        >>> standard_deviation([0.5, 1.0])
        0.25
    """
    return math.sqrt(variance(values))


def coefficient_of_variation(values: Values) -> float | None:
    """``standard deviation / mean``; ``None`` if the mean is 0.

    Example:
        >>> coefficient_of_variation([0.5, 1.5]), coefficient_of_variation([0.0, 0.0])
        (0.5, None)
    """
    _check(values)
    mean = fmean(values)
    return standard_deviation(values) / mean if mean else None


def ratio(values: Values) -> float | None:
    """``max / min``, 1 if all are equal; ``None`` if the smallest is 0.

    Example:
        >>> ratio([0.5, 1.0]), ratio([0.0, 1.0])
        (2.0, None)
    """
    _check(values)
    return max(values) / min(values) if min(values) else None


def _check(values: Iterable[object]) -> None:
    if not list(values):
        msg = "There is no group with a value; leave the index out."
        raise ValueError(msg)
