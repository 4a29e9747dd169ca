"""The noise that every release gets: discrete Gaussian numbers of always as many steps, from a secure source."""

from __future__ import annotations

import os

from anomalib_federated.privacy.discrete_gaussian import Integers, RandomBytes, discrete_gaussian

STEPS = 1 << 24
"""Standard deviation of the noise, in steps of the grid on which numbers are released."""


class Noise:
    """Gives noise.

    Nobody may be able to draw the same noise again: who can, subtracts it. A configuration can therefore not seed it.

    Args:
        random_bytes: Where chance comes from; anything but the default is for tests.

    Example:
        >>> Noise().draw(3).shape
        (3,)
    """

    def __init__(self, random_bytes: RandomBytes = os.urandom) -> None:
        self._random_bytes = random_bytes

    def draw(self, count: int) -> Integers:
        """Independent numbers of :data:`STEPS` standard deviation, shape ``(count,)``, int64."""
        return discrete_gaussian(STEPS, count, random_bytes=self._random_bytes)
