"""How often a threshold that normal pictures set will alarm for no reason, and how sure one can be of it.

A picture is called anomalous if it scores strictly above the threshold, and the threshold is the ``rank``-th highest of
the scores of ``n`` normal pictures. As long as further normal pictures are of the same kind, and whatever the scores'
distribution is:

- the next normal picture alarms with probability ``rank / (n + 1)``: the expected false-alarm rate;
- the rate that this very threshold has in the long run is not known, only its distribution: Beta(rank, n + 1 - rank).
  Few pictures leave it wide, so its upper bound is told beside the expectation.

Scores that occur several times make both a little too high, never too low.

Source: Wilks, "Determination of sample sizes for setting tolerance limits", 1941.

Example:
    >>> promise = expecting(100, 0.05)
    >>> promise.rank, round(promise.expected_rate, 4), round(promise.upper_bound, 4)
    (5, 0.0495, 0.0892)
    >>> promise = making_sure(100, 0.05)
    >>> promise.rank, round(promise.expected_rate, 4), round(promise.upper_bound, 4)
    (2, 0.0198, 0.0466)
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

CONFIDENCE = 0.95
"""How sure the upper bounds are, unless another confidence is asked for."""

OPERATING_POINTS = (0.01, 0.05, 0.1)
"""False-alarm rates that AutoVI judges a detector by, and that an export tells the thresholds of."""


_NOTHING = 1e-18  # of a sum's largest term


@dataclass(frozen=True)
class FalseAlarms:
    """What the threshold at one of the highest normal scores promises.

    Attributes:
        pictures: Normal pictures that were scored, ``n``.
        rank: Which score is the threshold, counted from the highest, which is 1.
        confidence: How sure the upper bound is, in [0.5, 1).

    Raises:
        ValueError: If one is out of its range.
    """

    pictures: int
    rank: int
    confidence: float = CONFIDENCE

    def __post_init__(self) -> None:
        _check_pictures(self.pictures)
        if not (isinstance(self.rank, int) and 1 <= self.rank <= self.pictures):
            msg = f"rank is {self.rank}; give a whole number from 1 to the number of pictures, {self.pictures}."
            raise ValueError(msg)
        _check_confidence(self.confidence)

    @property
    def expected_rate(self) -> float:
        """Share of further normal pictures above the threshold, on average over all sets of ``n`` pictures."""
        return self.rank / (self.pictures + 1)

    @property
    def upper_bound(self) -> float:
        """What the true rate of the threshold does not exceed, with the confidence."""
        below, above = (self.rank - 1) / self.pictures, 1.0
        # Halving ends where no number lies between; the upper end is on the safe side.
        while below < (middle := (below + above) / 2) < above:
            if _at_most(self.rank - 1, self.pictures, middle) > 1 - self.confidence:
                below = middle
            else:
                above = middle
        return above

    def keeps(self, rate: float) -> bool:
        """Whether no more than this rate is expected; if not, there were too few pictures for it."""
        return Fraction(self.rank, self.pictures + 1) <= _exactly(rate)

    def threshold(self, scores: Iterable[float]) -> float:
        """The score that is the threshold.

        Args:
            scores: Of the normal pictures, in any order.

        Raises:
            ValueError: If there are more or fewer than :attr:`pictures`, or one is not finite.
        """
        found = list(scores)
        if len(found) != self.pictures:
            msg = f"There are {len(found)} scores, but the promise is for {self.pictures} pictures."
            raise ValueError(msg)
        if not all(map(math.isfinite, found)):
            msg = "A score is not a finite number; mend the detector that gave it."
            raise ValueError(msg)
        return heapq.nlargest(self.rank, found)[-1]


def expecting(pictures: int, rate: float, *, confidence: float = CONFIDENCE) -> FalseAlarms:
    """The lowest threshold whose expected false-alarm rate is at most the wish.

    Too few pictures for the wish give the highest score, which :meth:`FalseAlarms.keeps` tells.

    Args:
        pictures: Normal pictures that were scored.
        rate: Wished false-alarm rate, in (0, 1).
        confidence: Of the upper bound.

    Raises:
        ValueError: If a number is out of its range.

    Example:
        >>> expecting(10, 0.05).rank, expecting(10, 0.05).keeps(0.05)
        (1, False)
    """
    _check_pictures(pictures)
    _check_rate(rate)
    rank = math.floor((pictures + 1) * _exactly(rate))
    return FalseAlarms(pictures, max(1, rank), confidence)


def making_sure(pictures: int, rate: float, *, confidence: float = CONFIDENCE) -> FalseAlarms:
    """The lowest threshold whose true false-alarm rate is at most the wish with the confidence.

    It is higher than that of :func:`expecting` and so misses more defects: the price of being sure.

    Args:
        pictures: Normal pictures that were scored.
        rate: False-alarm rate not to exceed, in (0, 1).
        confidence: How sure to be, in [0.5, 1).

    Raises:
        ValueError: If a number is out of its range, or the pictures are too few to be sure with any of their scores.
    """
    needed = pictures_needed(rate, confidence=confidence)
    _check_pictures(pictures)
    if pictures < needed:
        msg = (
            f"{pictures} normal pictures cannot make sure of at most {rate:.3g} false alarms with confidence "
            f"{confidence:.3g}: give at least {needed}, or allow more false alarms."
        )
        raise ValueError(msg)
    low, high = 1, pictures + 1
    while high - low > 1:
        middle = (low + high) // 2
        if _at_most(middle - 1, pictures, rate) <= 1 - confidence:
            low = middle
        else:
            high = middle
    return FalseAlarms(pictures, low, confidence)


def pictures_expected(rate: float) -> int:
    """How many normal pictures it takes until a threshold's expected false-alarm rate can be as low as this.

    Example:
        >>> [pictures_expected(rate) for rate in (0.01, 0.05, 0.1)]
        [99, 19, 9]
    """
    _check_rate(rate)
    return max(1, math.ceil(1 / _exactly(rate)) - 1)


def pictures_needed(rate: float, *, confidence: float = CONFIDENCE) -> int:
    """How many normal pictures it takes to be sure that the highest score is exceeded at most this often.

    Args:
        rate: False-alarm rate not to exceed, in (0, 1).
        confidence: How sure to be, in [0.5, 1).

    Example:
        >>> [pictures_needed(rate) for rate in (0.01, 0.05, 0.1)]
        [299, 59, 29]
    """
    _check_rate(rate)
    _check_confidence(confidence)
    return max(1, math.ceil(math.log(1 - confidence) / math.log1p(-rate)))


def _exactly(rate: float) -> Fraction:
    """The rate as it was written: 0.05 and 1 - 0.95 are both one in twenty."""
    return Fraction(rate).limit_denominator(10**9)


def _at_most(successes: int, trials: int, probability: float) -> float:
    """Chance of at most so many successes: a sum that starts at its largest term, in both directions."""
    if not 0 < probability < 1:
        return float(probability <= 0 or successes >= trials)
    start = min(successes, math.floor((trials + 1) * probability))
    odds = probability / (1 - probability)
    first = math.exp(
        math.lgamma(trials + 1)
        - math.lgamma(start + 1)
        - math.lgamma(trials - start + 1)
        + start * math.log(probability)
        + (trials - start) * math.log1p(-probability)
    )
    terms = [first]
    for number in range(start, 0, -1):
        terms.append(terms[-1] * number / (trials - number + 1) / odds)
        if terms[-1] < _NOTHING * first:
            break
    term = first
    for number in range(start, successes):
        term *= (trials - number) / (number + 1) * odds
        terms.append(term)
        if term < _NOTHING * first:
            break
    return math.fsum(terms)


def _check_pictures(pictures: int) -> None:
    if isinstance(pictures, bool) or not isinstance(pictures, int) or pictures < 1:
        msg = f"The number of normal pictures is {pictures!r}; a threshold needs a whole number of at least 1."
        raise ValueError(msg)


def _check_rate(rate: float) -> None:
    if not 1e-9 <= rate < 1:
        msg = f"The false-alarm rate is {rate}; give a share between 0 and 1, such as 0.05."
        raise ValueError(msg)


def _check_confidence(confidence: float) -> None:
    if not 0.5 <= confidence < 1:
        msg = f"The confidence is {confidence}; give a share from 0.5 to below 1, such as 0.95."
        raise ValueError(msg)
