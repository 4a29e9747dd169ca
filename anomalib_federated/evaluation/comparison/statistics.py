"""Tests and effect sizes of paired values, such as what two methods reach on the same categories.

All functions take two arrays of shape ``(n,)`` whose entries belong together and look at the differences
``values - baseline``. What cannot be said is ``None`` with the reason in words, never NaN, and never p = 0 out of
differences that do not vary. Differences are rounded to :data:`DECIMALS`, so that rounding of means is no effect.

Sources: J. Cohen, *Statistical Power Analysis for the Behavioral Sciences*, 2nd ed. 1988; for the interval of d,
G. Cumming and S. Finch, *Educational and Psychological Measurement* 61 (2001) 532-574; S. Holm, *Scandinavian Journal
of Statistics* 6 (1979) 65-70.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.optimize import brentq

ALPHA = 0.05
"""Chance of calling a difference real that is none."""

POWER = 0.8
"""Chance of noticing a difference that is just detectable."""

DECIMALS = 12
"""To which differences are rounded; figures are shares between 0 and 1."""

TOO_FEW = "it takes two pairs or more"
NO_SPREAD = "all differences are equal, so that their spread tells nothing about chance"

_LARGE_T = 1000.0
"""Above, the distribution function of the noncentral t is not computed reliably, and its limit is as good."""


@dataclass(frozen=True, kw_only=True)
class PairedTest:
    """A two-sided test of whether paired values differ.

    Attributes:
        p: Chance of differences as large as these if there were none; ``None`` if it cannot be said.
        note: Why there is no p, or how it was computed where that is not the usual way; else empty.
    """

    p: float | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A value and its interval.

    Attributes:
        value: ``None`` if it cannot be said.
        low: Lower end of the interval; ``None`` if there is none.
        high: Upper end.
        note: Why value or interval are missing; else empty.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    note: str = ""


def paired_t_test(values: ArrayLike, baseline: ArrayLike) -> PairedTest:
    """Student's paired t-test; no p if n < 2 or all differences are equal.

    Raises:
        ValueError: If the arrays are no pairs of finite numbers.

    Example:
        >>> round(paired_t_test([0.7, 0.8, 0.9], [0.6, 0.6, 0.6]).p, 4)  # t = 0.2 / (0.1 / sqrt(3)) = 3.46
        0.0742
    """
    differences = _differences(values, baseline)
    if reason := _no_spread(differences):
        return PairedTest(note=reason)
    return PairedTest(p=float(stats.ttest_1samp(differences, 0.0).pvalue))


def wilcoxon_test(values: ArrayLike, baseline: ArrayLike) -> PairedTest:
    """Wilcoxon's signed-rank test; no p if n < 2 or all differences are zero.

    Pairs without difference are left out, as Wilcoxon did. p is exact up to 50 pairs, and with differences of the same
    size up to 13; beyond, it is the normal approximation. The note tells of each.

    Raises:
        ValueError: If the arrays are no pairs of finite numbers.

    Example:
        >>> wilcoxon_test([0.7, 0.8, 0.9], [0.6, 0.6, 0.6]).p  # all three up: 2 of 2**3 signs are as extreme
        0.25
    """
    differences = _differences(values, baseline)
    if differences.size < 2:
        return PairedTest(note=TOO_FEW)
    nonzero = differences[differences != 0]
    if nonzero.size == 0:
        return PairedTest(note="all differences are zero")
    notes = []
    if zeros := differences.size - nonzero.size:
        notes.append(f"{zeros} of {differences.size} pairs without difference left out")
    ties = np.unique(np.abs(nonzero)).size < nonzero.size
    if nonzero.size > (13 if ties else 50):
        notes.append("normal approximation")
    return PairedTest(p=float(stats.wilcoxon(nonzero).pvalue), note=", ".join(notes))


def smallest_wilcoxon_p(n: int) -> float:
    """The least that the exact two-sided p of ``n`` pairs can be: two of all ways to put signs.

    Example:
        >>> [smallest_wilcoxon_p(n) for n in (1, 2, 5, 6)]
        [1.0, 0.5, 0.0625, 0.03125]
    """
    return float(2.0 ** (1 - n))


def mean_difference(values: ArrayLike, baseline: ArrayLike, *, confidence: float = 1 - ALPHA) -> Estimate:
    """Mean of the differences with its t interval; no interval if n < 2 or all differences are equal.

    Raises:
        ValueError: If the arrays are no pairs of finite numbers.

    Example:
        >>> estimate = mean_difference([0.7, 0.8, 0.9], [0.6, 0.6, 0.6])  # 0.2 -+ 4.303 * 0.1 / sqrt(3)
        >>> [round(number, 3) for number in (estimate.value, estimate.low, estimate.high)]
        [0.2, -0.048, 0.448]
    """
    differences = _differences(values, baseline)
    if differences.size == 0:
        return Estimate(note="there is no pair")
    if reason := _no_spread(differences):
        return Estimate(value=float(differences.mean()), note=reason)
    interval = stats.ttest_1samp(differences, 0.0).confidence_interval(confidence)
    return Estimate(value=float(differences.mean()), low=float(interval.low), high=float(interval.high))


def cohens_d(values: ArrayLike, baseline: ArrayLike, *, confidence: float = 1 - ALPHA) -> Estimate:
    """Cohen's d of paired samples: mean of the differences by their sample standard deviation (d_z, ``ddof=1``).

    The interval holds each effect whose noncentral t distribution does not make the t that was seen too rare; it is
    exact for normal differences. Nothing if n < 2 or all differences are equal. d of few pairs tends to be too large.

    Raises:
        ValueError: If the arrays are no pairs of finite numbers.

    Example:
        >>> estimate = cohens_d([0.7, 0.8, 0.9], [0.6, 0.6, 0.6])  # 0.2 / 0.1
        >>> [round(number, 2) for number in (estimate.value, estimate.low, estimate.high)]
        [2.0, -0.14, 4.11]
    """
    differences = _differences(values, baseline)
    if reason := _no_spread(differences):
        return Estimate(note=reason)
    n, d = differences.size, float(differences.mean() / differences.std(ddof=1))
    tail = (1 - confidence) / 2
    ends = [_noncentrality(d * sqrt(n), n - 1, probability=p) / sqrt(n) for p in (1 - tail, tail)]
    return Estimate(value=d, low=ends[0], high=ends[1])


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's correction: p values of several tests, so that none is called real by chance more often than once.

    Args:
        p_values: Those of one family of tests; ``None`` where there was no test, which then counts for nothing.

    Returns:
        Corrected values in the same order, at most 1.

    Example:
        >>> holm([0.25, None, 0.125])  # 2 * 0.125; then 1 * 0.25
        [0.25, None, 0.25]
    """
    tested = sorted((p, at) for at, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, at) in enumerate(tested):
        largest = max(largest, min(1.0, (len(tested) - rank) * p))
        corrected[at] = largest
    return corrected


@cache
def minimum_detectable_effect(n: int, *, alpha: float = ALPHA, power: float = POWER) -> float | None:
    """The smallest true d (mean by standard deviation of differences) that a two-sided paired t-test tends to notice.

    Args:
        n: Pairs.
        alpha: Level of the test.
        power: Share of experiments in which it shall be noticed.

    Returns:
        d, or ``None`` if n < 2.

    Example:
        >>> round(minimum_detectable_effect(34), 2)  # so a medium effect, as Cohen calls it, takes 34 pairs
        0.5
    """
    if n < 2:
        return None
    largest = _largest_shift(float(stats.t.ppf(1 - alpha / 2, n - 1)), n - 1) / sqrt(n)
    return float(brentq(lambda d: paired_t_power(n, d, alpha=alpha) - power, 0.0, largest))


def detectable_difference(values: ArrayLike, baseline: ArrayLike) -> Estimate:
    """The smallest true mean difference that a paired t-test tends to notice, if differences spread as these do.

    It is :func:`minimum_detectable_effect` times their sample standard deviation, itself only an estimate; nothing if
    n < 2 or all differences are equal.

    Raises:
        ValueError: If the arrays are no pairs of finite numbers.

    Example:
        >>> round(detectable_difference([0.7, 0.8, 0.9], [0.6, 0.6, 0.6]).value, 3)  # 3.26 * 0.1
        0.326
    """
    differences = _differences(values, baseline)
    effect = minimum_detectable_effect(differences.size)
    if effect is None or _no_spread(differences):
        return Estimate(note=_no_spread(differences))
    return Estimate(value=effect * float(differences.std(ddof=1)))


def paired_t_power(n: int, effect: float, *, alpha: float = ALPHA) -> float:
    """How often a two-sided paired t-test of ``n >= 2`` pairs notices a true d of ``effect``."""
    limit = float(stats.t.ppf(1 - alpha / 2, n - 1))
    shift = effect * sqrt(n)
    return float(stats.nct.sf(limit, n - 1, shift) + stats.nct.sf(limit, n - 1, -shift))


def _differences(values: ArrayLike, baseline: ArrayLike) -> NDArray[np.float64]:
    first, second = np.asarray(values, dtype=np.float64), np.asarray(baseline, dtype=np.float64)
    if first.ndim != 1 or first.shape != second.shape:
        msg = f"Pairs are two arrays of shape (n,), but these have {first.shape} and {second.shape}; give each one."
        raise ValueError(msg)
    differences = first - second
    if not np.isfinite(differences).all():
        at = int(np.flatnonzero(~np.isfinite(differences))[0])
        msg = f"Pair {at} is {first[at]} and {second[at]}; leave out pairs that are not finite."
        raise ValueError(msg)
    return np.round(differences, DECIMALS)


def _no_spread(differences: NDArray[np.float64]) -> str:
    if differences.size < 2:
        return TOO_FEW
    return NO_SPREAD if np.ptp(differences) == 0 else ""


def _noncentrality(t: float, df: int, *, probability: float) -> float:
    """The shift of the noncentral t distribution under which a value is up to ``t`` with this probability."""
    if t < 0:
        return -_noncentrality(-t, df, probability=1 - probability)
    if t > _LARGE_T:  # the numerator hardly varies: t = shift / s, where s * sqrt(df) has a chi distribution
        return t * float(stats.chi.ppf(1 - probability, df)) / sqrt(df)
    # nct.sf, not nct.cdf: that is NaN here and there in its tails.
    return float(brentq(lambda shift: stats.nct.sf(t, df, shift) - (1 - probability), -5.0, _largest_shift(t, df)))


def _largest_shift(t: float, df: int) -> float:
    """Under this shift, the noncentral t is up to ``t`` with a chance near 1e-6; far beyond, it cannot be computed."""
    return t * float(stats.chi.ppf(1 - 1e-6, df)) / sqrt(df) + 5
