"""How much a mechanism gives away at least, from how often an attacker was right.

An attacker looks at what was released and says whether a picture was there. Over many runs with it and many without,
that gives two shares: of right alarms, and of false ones. Exact binomial bounds (Clopper, Pearson 1934) say how far
the true chances ``TPR`` and ``FPR`` can be from them, and every mechanism that keeps (epsilon, delta) has

    TPR <= exp(epsilon) FPR + delta   and   1 - FPR <= exp(epsilon) (1 - TPR) + delta.

:func:`epsilon_bound` turns this round (Jagielski, Ullman, Oprea 2020, https://arxiv.org/abs/2006.07709): it assumes
nothing about the mechanism, and therefore needs very many runs to come near a large epsilon, since ``FPR`` then must be
shown to be tiny. :func:`mu_bound` asks how far two Gaussians of equal width must lie apart for an attacker to be so
good (Nasr et al. 2023, https://arxiv.org/abs/2302.07956): it comes near the truth with few runs. As a bound on how far
apart *these* two chances are it assumes nothing either; to read an epsilon out of it assumes that the mechanism is
Gaussian.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import betaincinv, ndtri


@dataclass(frozen=True, kw_only=True)
class Alarms:
    """How often an attacker said that the picture was there.

    Attributes:
        right: Alarms in runs with the picture.
        runs_with: Runs with it, at least 1.
        false: Alarms in runs without.
        runs_without: Runs without, at least 1.

    Raises:
        ValueError: If there are no runs, or more alarms than runs.
    """

    right: int
    runs_with: int
    false: int
    runs_without: int

    def __post_init__(self) -> None:
        for alarms, runs, which in ((self.right, self.runs_with, "with"), (self.false, self.runs_without, "without")):
            if not 0 <= alarms <= runs or runs < 1:
                msg = f"{alarms} alarms in {runs} runs {which} the picture are impossible; give 0 to all of 1 or more."
                raise ValueError(msg)


def epsilon_bound(alarms: Alarms, *, delta: float, confidence: float = 0.95) -> float:
    """A lower bound on epsilon, whatever the mechanism.

    Args:
        alarms: Of a rule that was fixed before these runs.
        delta: Of the promise, in [0, 1).
        confidence: Chance that the bound is one, in (0, 1).

    Returns:
        At most the mechanism's epsilon, but for a share of ``1 - confidence``; 0 or less shows nothing.

    Raises:
        ValueError: If an argument is impossible.

    Example:
        >>> found = Alarms(right=400, runs_with=1000, false=100, runs_without=1000)
        >>> round(epsilon_bound(found, delta=1e-5), 2)
        1.12
    """
    if not 0 <= delta < 1:
        msg = f"The privacy parameter delta is {delta!r}; give a number in [0, 1)."
        raise ValueError(msg)
    right, false = _chances(alarms, confidence)
    return max(_log_ratio(right - delta, false), _log_ratio(1 - false - delta, 1 - right))


def mu_bound(alarms: Alarms, *, confidence: float = 0.95) -> float:
    """A lower bound on how far the results with and without the picture lie apart.

    Args:
        alarms: Of a rule that was fixed before these runs.
        confidence: Chance that the bound is one, in (0, 1).

    Returns:
        The ``mu`` of :mod:`anomalib_federated.privacy.gaussian`: how many standard deviations two Gaussians are apart
        between which an attacker has just these chances; 0 or less shows nothing.

    Raises:
        ValueError: If the confidence is impossible.

    Example:
        >>> found = Alarms(right=400, runs_with=1000, false=100, runs_without=1000)
        >>> round(mu_bound(found), 2)
        0.84
    """
    right, false = _chances(alarms, confidence)
    return float(ndtri(right)) - float(ndtri(false))


def _chances(alarms: Alarms, confidence: float) -> tuple[float, float]:
    """The least chance of a right alarm and the largest of a false one, which hold together."""
    if not 0 < confidence < 1:
        msg = f"The confidence is {confidence!r}; give a number in (0, 1), such as 0.95."
        raise ValueError(msg)
    each = (1 - confidence) / 2
    misses, silent = alarms.runs_with - alarms.right, alarms.runs_without - alarms.false
    right = float(betaincinv(alarms.right, misses + 1, each)) if alarms.right else 0.0
    false = float(betaincinv(alarms.false + 1, silent, 1 - each)) if silent else 1.0
    return right, false


def _log_ratio(numerator: float, denominator: float) -> float:
    return math.log(numerator / denominator) if numerator > 0 else -math.inf
