"""Exact draws of the discrete Gaussian: whole numbers ``k`` with probability proportional to exp(-k^2 / (2 sigma^2)).

Noise in floating point gives away what it hides, since not every sum of a number and a float can occur (Mironov 2012,
https://doi.org/10.1145/2382196.2382264). Here nothing but whole numbers occurs: the rejection method of Canonne, Kamath
and Steinke 2020 (https://arxiv.org/abs/2004.00010, algorithms 1 to 3), on arrays. How long it takes depends on the
noise, never on what the noise is added to.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Integers: TypeAlias = npt.NDArray[np.int64]
RandomBytes: TypeAlias = Callable[[int], bytes]
"""Gives as many random bytes as asked for."""

LARGEST_SIGMA = 1 << 24
"""With a larger one, products would not fit 64 bits."""
_MOST_SIGMAS = 127
"""Larger draws of the proposal, of which there is one in e^128, are accepted with probability e^-8000: never."""
_AT_ONCE = 1 << 18
"""Draws that fit the processor's cache."""


def discrete_gaussian(sigma: int, count: int, *, random_bytes: RandomBytes = os.urandom) -> Integers:
    """Draw independent numbers.

    Args:
        sigma: Parameter of the distribution, 1 to 2^24; but for the smallest, its standard deviation.
        count: How many.
        random_bytes: Where chance comes from: the operating system's secure source. Another one is for tests alone.

    Returns:
        Shape ``(count,)``, int64.

    Raises:
        ValueError: If sigma or count is impossible.

    Example:
        >>> draws = discrete_gaussian(1000, 10_000)
        >>> draws.dtype, bool(abs(draws.std() - 1000) < 50)
        (dtype('int64'), True)
    """
    if not 1 <= sigma <= LARGEST_SIGMA or count < 0:
        msg = f"Cannot draw {count} numbers of sigma {sigma}; sigma must be a whole number from 1 to {LARGEST_SIGMA}."
        raise ValueError(msg)
    drawn = np.empty(count, dtype=np.int64)
    done = 0
    while done < count:
        # Three of four candidates are accepted.
        accepted = _candidates(sigma, min(_AT_ONCE, (count - done) * 4 // 3 + 16), random_bytes)[: count - done]
        drawn[done : done + len(accepted)] = accepted
        done += len(accepted)
    return drawn


def _candidates(sigma: int, count: int, random_bytes: RandomBytes) -> Integers:
    """Draws of a discrete Laplace distribution of scale ``sigma``, thinned out to the discrete Gaussian."""
    below = _uniform(sigma, count, random_bytes)
    below = below[_with_exp(below, sigma, random_bytes)]
    size = below + sigma * np.minimum(_geometric(len(below), random_bytes), _MOST_SIGMAS)
    negative = _uniform(2, len(size), random_bytes) == 1
    once = ~(negative & (size == 0))  # else zero would come twice as often
    size, negative = size[once], negative[once]
    kept = _with_exp((size - sigma) ** 2, 2 * sigma**2, random_bytes)
    draws: Integers = np.where(negative, -size, size)[kept]
    return draws


def _geometric(count: int, random_bytes: RandomBytes) -> Integers:
    """How often in a row something of probability 1/e happens."""
    runs = np.zeros(count, dtype=np.int64)
    going = np.arange(count)
    while len(going):
        going = going[_with_exp(np.ones(len(going), dtype=np.int64), 1, random_bytes)]
        runs[going] += 1
    return runs


def _with_exp(numerators: Integers, denominator: int, random_bytes: RandomBytes) -> npt.NDArray[np.bool_]:
    """Yes with probability exp(-numerator / denominator)."""
    whole, rest = np.divmod(numerators, denominator)
    yes = np.ones(len(numerators), dtype=np.bool_)
    step, going = 1, np.flatnonzero(whole >= 1)
    while len(going):
        lost = ~_with_exp_at_most_one(np.ones(len(going), dtype=np.int64), 1, random_bytes)
        yes[going[lost]] = False
        step, going = step + 1, going[~lost]
        going = going[whole[going] >= step]
    left = np.flatnonzero(yes)
    yes[left] = _with_exp_at_most_one(rest[left], denominator, random_bytes)
    return yes


def _with_exp_at_most_one(numerators: Integers, denominator: int, random_bytes: RandomBytes) -> npt.NDArray[np.bool_]:
    """The same for fractions in [0, 1]: how long events of probability fraction / 1, fraction / 2 ... all happen."""
    odd = np.empty(len(numerators), dtype=np.bool_)
    step, going = 1, np.arange(len(numerators))
    while len(going):
        happens = _uniform(step * denominator, len(going), random_bytes) < numerators[going]
        odd[going[~happens]] = step % 2 == 1
        step, going = step + 1, going[happens]
    return odd


def _uniform(below: int, count: int, random_bytes: RandomBytes) -> Integers:
    """Numbers in 0 .. below - 1, all equally likely."""
    bits = (below - 1).bit_length()
    word = np.dtype(f"<u{1 << max(0, math.ceil(math.log2(max(bits, 1) / 8)))}")
    mask = word.type((1 << bits) - 1)
    numbers = np.empty(count, dtype=np.int64)
    missing = np.arange(count)
    while len(missing):
        drawn = np.frombuffer(random_bytes(len(missing) * word.itemsize), dtype=word) & mask
        numbers[missing] = drawn
        missing = missing[drawn >= below]
    return numbers
