"""Bins of scores whose odds are known without knowing the scores' distribution.

Example:
    >>> bins = ScoreBins.of([number / 100 for number in range(100)], threshold=0.94)
    >>> bins.masses  # 101 gaps, into each of which the next score falls equally likely
    (9, 10, 9, 10, 9, 10, 9, 10, 9, 10, 6)
    >>> bins.find(0.5), bins.find(0.95)
    (5, 10)
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import NormalDist

BELOW = 10
"""Bins below the threshold, unless equal scores leave fewer; one more is above it."""

FEWEST_BELOW = 5
"""Bins below the threshold that there must be."""

FEWEST_PICTURES = 20
"""Pictures below which there are no bins."""


@dataclass(frozen=True)
class ScoreBins:
    """Bins between scores of a calibration.

    ``n`` scores divide the line into ``n + 1`` gaps, into each of which the next falls equally likely, whatever the
    distribution.

    Attributes:
        edges: Upper ends of the bins below the threshold, ascending; the last is the threshold.
        masses: Number of gaps in each bin; the last is the bin above the threshold.
        places: Where the middle of each bin would be if scores were normally distributed, in standard deviations from
            the mean.
    """

    edges: tuple[float, ...]
    masses: tuple[int, ...]
    places: tuple[float, ...]

    @classmethod
    def of(cls, scores: Sequence[float], threshold: float) -> ScoreBins:
        """Bins with about as many scores in each, but for the one above the threshold.

        Args:
            scores: Of normal pictures, ascending.
            threshold: Scores above it lie in the last bin.

        Raises:
            ValueError: If there are fewer than :data:`FEWEST_PICTURES` scores, or too few that differ.
        """
        if len(scores) < FEWEST_PICTURES:
            msg = f"The calibration has {len(scores)} pictures: to watch scores, calibrate with {FEWEST_PICTURES}."
            raise ValueError(msg)
        bulk = [score for score in scores if score <= threshold]
        ends = {bulk[number * len(bulk) // BELOW - 1] for number in range(1, BELOW) if number * len(bulk) >= BELOW}
        edges = (*sorted(ends - set(bulk[-1:])), threshold)
        if len(edges) < FEWEST_BELOW:
            msg = "Too few scores of the calibration differ to watch them: calibrate with pictures of different parts."
            raise ValueError(msg)
        masses = [0] * (len(edges) + 1)
        for score in scores:
            masses[bisect_left(edges, score)] += 1
        masses[-1] += 1  # the gap above the highest score
        return cls(edges, tuple(masses), _places(masses))

    def find(self, score: float) -> int:
        """Number of the bin that a score lies in."""
        return bisect_left(self.edges, score)


def _places(masses: Sequence[int]) -> tuple[float, ...]:
    total, normal = sum(masses), NormalDist()
    return tuple(normal.inv_cdf((end - mass / 2) / total) for end, mass in zip(accumulate(masses), masses, strict=True))
