"""How much a mechanism gives away at least, from one single run.

Many pictures of the auditor's own, canaries, are each put in or left out by the toss of a coin. From the one release an
attacker guesses some of the coins and leaves the others alone. Against a mechanism that keeps (epsilon, 0), no guess is
right more often than ``q = exp(epsilon) / (1 + exp(epsilon))``, whatever the others are: more right guesses than a
binomial of ``q`` explains refute epsilon. Delta adds a little to the chance of that (Steinke, Nasr, Jagielski 2023,
https://arxiv.org/abs/2305.08846, theorem 5.2 and appendix D).
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import binom

MOST_EPSILON = 100.0
"""No number of guesses refutes more."""


def chance_of_guesses(*, canaries: int, guesses: int, right: int, epsilon: float, delta: float) -> float:
    """The largest chance that a mechanism of (epsilon, delta) lets so many guesses be right.

    Args:
        canaries: How many coins were tossed.
        guesses: How many were guessed: a number that was fixed before.
        right: How many guesses were right.
        epsilon: Of the mechanism, at least 0.
        delta: Of the mechanism, in [0, 1).

    Raises:
        ValueError: If an argument is impossible.

    Example:
        >>> round(chance_of_guesses(canaries=100, guesses=20, right=20, epsilon=1.0, delta=1e-5), 4)
        0.0021
    """
    if not 0 <= right <= guesses <= canaries or guesses < 1:
        msg = f"{right} of {guesses} guesses right about {canaries} canaries is impossible; give at least one guess."
        raise ValueError(msg)
    if epsilon < 0 or not 0 <= delta < 1:
        msg = f"epsilon {epsilon!r} with delta {delta!r} is impossible; give at least 0, and a number in [0, 1)."
        raise ValueError(msg)
    one = float(expit(epsilon))
    explained = float(binom.sf(right - 1, guesses, one))
    near = np.cumsum(binom.pmf(np.arange(right - 1, -1, -1), guesses, one)) / np.arange(1, right + 1)
    return min(1.0, explained + 2 * canaries * delta * float(near.max(initial=0.0)))


def one_run_bound(*, canaries: int, guesses: int, right: int, delta: float, confidence: float = 0.95) -> float:
    """A lower bound on epsilon, whatever the mechanism.

    Args:
        canaries: How many coins were tossed.
        guesses: How many were guessed: a number that was fixed before.
        right: How many guesses were right.
        delta: Of the promise, in [0, 1).
        confidence: Chance that the bound is one, in (0, 1).

    Raises:
        ValueError: If an argument is impossible.

    Example:
        >>> round(one_run_bound(canaries=100, guesses=20, right=20, delta=1e-5), 2)
        1.82
    """
    if not 0 < confidence < 1:
        msg = f"The confidence is {confidence!r}; give a number in (0, 1), such as 0.95."
        raise ValueError(msg)

    def too_likely(epsilon: float) -> float:
        chance = chance_of_guesses(canaries=canaries, guesses=guesses, right=right, epsilon=epsilon, delta=delta)
        return chance - (1 - confidence)

    if too_likely(0.0) >= 0:
        return 0.0
    return float(brentq(too_likely, 0.0, MOST_EPSILON, xtol=1e-9))
