"""Noisy sums of one clipped vector per picture (or part): what a site computes, and what the centre makes of it.

Two data sets that differ in one picture differ in one vector of the sum, which is no longer than the clip, whatever the
plugin that made the vector did: that is all that the promise rests on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from anomalib_federated.privacy.discrete_gaussian import Integers
from anomalib_federated.privacy.noise import Noise
from anomalib_federated.privacy.noise_grid import NoiseGrid, Vectors
from anomalib_federated.privacy.report import NoiseBy

LARGEST_SUM = 1 << 62
"""Of absolute value; no sum of pictures' vectors and noise comes near it."""


@dataclass(frozen=True, kw_only=True)
class NoiseAdders:
    """Who adds the noise of a sum.

    Attributes:
        noise_by: The ``centre``, from which exact sums are then not hidden; ``each_site`` all of it; or
            ``honest_sites``, a part each, for sums of which nobody sees those of single sites.
        honest_sites: With ``honest_sites``: how many surely add their part. If more do, there is more noise.

    Raises:
        ValueError: If a field is impossible.

    Example:
        >>> NoiseAdders(noise_by="honest_sites", honest_sites=4).grid(clip=1.0, multiplier=2.0, dimensions=10).adders
        4
    """

    noise_by: NoiseBy = "each_site"
    honest_sites: int = 1

    def __post_init__(self) -> None:
        if self.noise_by not in {"centre", "each_site", "honest_sites"}:
            msg = f"noise_by is {self.noise_by!r}; give centre, each_site or honest_sites."
            raise ValueError(msg)
        if self.honest_sites < 1 or (self.honest_sites > 1 and self.noise_by != "honest_sites"):
            msg = f"honest_sites is {self.honest_sites!r}; give at least 1, and more than 1 with noise_by honest_sites."
            raise ValueError(msg)

    def grid(self, *, clip: float, multiplier: float, dimensions: int) -> NoiseGrid:
        """The grid on which all sites compute."""
        return NoiseGrid(clip=clip, multiplier=multiplier, dimensions=dimensions, adders=self.honest_sites)

    def at_site(self, total: Integers, *, noise: Noise) -> Integers:
        """What leaves a site in place of its exact sum."""
        return total if self.noise_by == "centre" else total + noise.draw(len(total))

    def at_centre(self, total: Integers, *, noise: Noise) -> Integers:
        """What may be told of the sum of all sites."""
        return total + noise.draw(len(total)) if self.noise_by == "centre" else total


def clipped_sum(units: Iterable[Sequence[Vectors]], grid: NoiseGrid) -> Integers:
    """Add up one clipped vector per unit.

    Args:
        units: Per unit (a picture, or a part with several), a vector of shape ``(dimensions,)`` of each of its
            pictures. The mean of the clipped vectors of its pictures is the unit's.
        grid: Clips and rounds.

    Returns:
        Shape ``(dimensions,)``, int64: exact, whatever the order.

    Raises:
        ValueError: If a unit has no vector, or one of another shape or not finite.

    Example:
        >>> grid = NoiseGrid(clip=1.0, multiplier=2.0, dimensions=2)
        >>> one, two = np.array([5.0, 0.0]), np.array([0.0, 0.5])
        >>> grid.decode(clipped_sum([[one], [two]], grid)).round(5).tolist()
        [1.0, 0.5]
        >>> grid.decode(clipped_sum([[one, two]], grid)).round(5).tolist()  # two pictures of one part
        [0.5, 0.25]
    """
    total = np.zeros(grid.dimensions, dtype=np.int64)
    for number, vectors in enumerate(units):
        if not vectors:
            msg = f"Unit {number} has no picture, so it has no vector to add."
            raise ValueError(msg)
        stacked = np.stack(vectors)
        shortened = stacked * np.minimum(1.0, grid.clip / np.maximum(grid.lengths(stacked), grid.clip))[:, None]
        total += grid.encode(shortened.mean(axis=0, keepdims=True))[0]
    return total


def check_sum(total: object, *, dimensions: int, source: str) -> Integers:
    """A sum that came from outside.

    Args:
        total: What came; not trusted.
        dimensions: Numbers that it must have.
        source: Who sent it, for error messages.

    Raises:
        ValueError: If it is no sum.
    """
    if not isinstance(total, np.ndarray) or total.dtype != np.int64 or total.shape != (dimensions,):
        form = f"{total.shape} {total.dtype}" if isinstance(total, np.ndarray) else type(total).__name__
        msg = f"The sum from {source} is {form}, but must be ({dimensions},) int64."
        raise ValueError(msg)
    if len(total) and not -LARGEST_SUM < int(total.min()) <= int(total.max()) < LARGEST_SUM:
        msg = f"The sum from {source} holds a number beyond {LARGEST_SUM}, which no pictures add up to."
        raise ValueError(msg)
    return total
