"""Noise for thousands of runs: drawn in large blocks, of which every number is given out once."""

from __future__ import annotations

import numpy as np

from anomalib_federated.privacy.discrete_gaussian import Integers
from anomalib_federated.privacy.noise import Noise

FIRST_BLOCK, LARGEST_BLOCK = 1 << 10, 1 << 18


class DrawnAhead(Noise):
    """The same distribution as :class:`anomalib_federated.privacy.noise.Noise`, with less time per call.

    Args:
        seed: Decides the noise. An audit releases nothing, so nobody gains by drawing it again.

    Example:
        >>> noise = DrawnAhead(seed=0)
        >>> len(noise.draw(3)), bool((noise.draw(3) == noise.draw(3)).any())
        (3, False)
    """

    def __init__(self, *, seed: int) -> None:
        super().__init__(np.random.default_rng(seed).bytes)
        self._ahead = np.empty(0, dtype=np.int64)
        self._block = FIRST_BLOCK

    def draw(self, count: int) -> Integers:
        """Numbers that were not given out before."""
        if len(self._ahead) < count:
            self._ahead = np.concatenate([self._ahead, super().draw(max(self._block, count))])
            self._block = min(2 * self._block, LARGEST_BLOCK)
        drawn, self._ahead = self._ahead[:count].copy(), self._ahead[count:]
        return drawn


class Silence(Noise):
    """No noise: what an attacker who knows the pictures expects."""

    def draw(self, count: int) -> Integers:
        """Zeros."""
        return np.zeros(count, dtype=np.int64)
