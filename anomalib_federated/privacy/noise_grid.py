"""Numbers before noise: vectors clipped to a length, in whole steps of a grid that is as fine as the noise allows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anomalib_federated.privacy.discrete_gaussian import Integers
from anomalib_federated.privacy.noise import STEPS

Vectors = npt.NDArray[np.float64]
LEAST_MULTIPLIER = 2.0**-6
"""Less noise, an epsilon of thousands, promises nothing; and squares of longer vectors would not fit 64 bits."""

LEAST_CLIP = 1e-100
"""The steps of a smaller one would not be normal numbers."""
MOST_DIMENSIONS = 1 << 26
"""Of one vector; the slack in ``gaussian`` is for more of them, over many releases."""


@dataclass(frozen=True, kw_only=True)
class NoiseGrid:
    """Where one unit's vector (a picture's, a row's) goes before noise is added.

    Attributes:
        clip: Longest Euclidean length of a vector.
        multiplier: Standard deviation of all noise that is surely added, divided by the clip.
        dimensions: Numbers of a vector.
        adders: How many add noise, independently of each other and equally much.

    Raises:
        ValueError: If a field is impossible, or rounding so many numbers takes up more than the clip.

    Example:
        >>> grid = NoiseGrid(clip=1.0, multiplier=2.0, dimensions=2)
        >>> whole = grid.encode(np.array([[3.0, 4.0], [0.3, 0.4]]))
        >>> grid.decode(whole).round(5).tolist()
        [[0.6, 0.8], [0.3, 0.4]]
    """

    clip: float
    multiplier: float
    dimensions: int
    adders: int = 1

    def __post_init__(self) -> None:
        for name, least in {
            "clip": LEAST_CLIP,
            "multiplier": LEAST_MULTIPLIER * math.sqrt(max(1, self.adders)),
        }.items():
            value = getattr(self, name)
            if not least < value < math.inf:
                msg = f"The {name} of the noise is {value!r}; give a finite number above {least:g}."
                raise ValueError(msg)
        if not 1 <= self.dimensions <= MOST_DIMENSIONS or self.adders < 1:
            msg = (
                f"Noise of {self.adders} on {self.dimensions} numbers is impossible; it must be added by at least one, "
                f"on 1 to {MOST_DIMENSIONS} numbers."
            )
            raise ValueError(msg)
        if self._longest <= 0:
            msg = (
                f"{self.dimensions} numbers under so much noise ({self.multiplier:g}) cannot be rounded; release fewer."
            )
            raise ValueError(msg)

    @property
    def step(self) -> float:
        """Width of the grid: one adder's standard deviation is :data:`STEPS` of these."""
        return self.multiplier * self.clip / math.sqrt(self.adders) / STEPS

    @property
    def clip_steps(self) -> int:
        """Longest length of a vector on the grid, rounding included."""
        return math.floor(math.sqrt(self.adders) * STEPS / self.multiplier)

    @property
    def _longest(self) -> float:
        """Longest length before rounding, in steps; rounding moves each number by half a step at most."""
        return self.clip_steps - math.sqrt(self.dimensions) / 2 - 1

    def encode(self, vectors: Vectors) -> Integers:
        """Clip each vector, and round it.

        Args:
            vectors: Shape ``(n, dimensions)``, finite; not changed.

        Returns:
            The same shape, int64; no row is longer than :attr:`clip_steps`.

        Raises:
            ValueError: If the shape is another one, or a length is not finite.
        """
        longest = self._longest * self.step
        factors = longest / np.maximum(self.lengths(vectors), longest)
        whole: Integers = np.rint(vectors * factors[:, None] / self.step).astype(np.int64)
        # What the promise rests on is not left to an argument about rounding.
        if len(whole) and int((whole**2).sum(axis=1).max()) > self.clip_steps**2:
            msg = f"A clipped vector is longer than {self.clip_steps} steps; this is a fault of anomalib-federated."
            raise AssertionError(msg)
        return whole

    def decode(self, whole: Integers) -> Vectors:
        """Numbers on the grid, or sums of such, in the unit of the clip."""
        return np.multiply(whole, self.step, dtype=np.float64)

    def lengths(self, vectors: Vectors) -> Vectors:
        """Euclidean length of each vector.

        Raises:
            ValueError: If the shape is not ``(n, dimensions)``, or a length is not finite.
        """
        if vectors.ndim != 2 or vectors.shape[1] != self.dimensions:
            msg = f"Vectors of shape {vectors.shape} came, but must be (n, {self.dimensions})."
            raise ValueError(msg)
        with np.errstate(over="ignore"):  # becomes infinite, which is refused below
            lengths: Vectors = np.sqrt((vectors**2).sum(axis=1))
        if not bool(np.isfinite(lengths).all()):
            first = int(np.flatnonzero(~np.isfinite(lengths))[0])
            msg = f"Vector {first} holds a NaN, infinite or absurdly large number, so it cannot be clipped."
            raise ValueError(msg)
        return lengths
