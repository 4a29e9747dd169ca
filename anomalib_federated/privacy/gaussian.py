"""How much noisy sums give away: Gaussian differential privacy.

One number says it: ``mu``, how far the noisy result of a data set can lie from that of a neighbour, in standard
deviations of the noise. Releases compose as Gaussians do, ``mu = sqrt(mu_1^2 + mu_2^2 + ...)``, also if what is asked
next depends on what came before and ends when the sum of squares reaches a limit (Dong, Roth, Su 2022,
https://doi.org/10.1111/rssb.12454; Smith, Thakurta 2022, https://arxiv.org/abs/2210.17520). Disjoint pictures, such as
those of different categories, do not add up: the largest ``mu`` counts. From ``mu`` to epsilon and delta leads an exact
formula (Balle, Wang 2018, https://arxiv.org/abs/1805.06530), here dp-accounting's. Its numerical composition of privacy
loss distributions comes to the same figures, Rényi accounting to an epsilon that is about a tenth larger.

The noise is a *discrete* Gaussian of ``s = 2^24`` steps, see :mod:`anomalib_federated.privacy.noise`, and not quite
what the formula is about. Let ``p`` be its probabilities and ``r`` those of a Gaussian that is rounded to whole steps,
of which the formula is true, since rounding adds nothing. For a step ``k``, ``p(k) / r(k) <= exp(1 / (8 s^2))`` and
``r(k) / p(k) <= exp(k^2 / (24 s^4))`` but for a factor of ``1 + 3 exp(-2 pi^2 s^2)``. Over ``d`` numbers, whose squares
add up to more than ``d s^2`` and a little by a chance far below delta, epsilon grows by ``d / (6 s^2)``. That is below
:data:`SLACK` for ``d`` up to ``2^30``, and is added to every epsilon here. Noise that is the sum of several sites'
differs from a discrete Gaussian by nothing that float64 could tell (Kairouz, Liu, Steinke 2021, theorem 1,
https://arxiv.org/abs/2102.06387).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

SLACK = 1e-6
"""Added to epsilon, and twice of it taken from each delta: the noise is discrete."""
LARGEST_EPSILON = 1000.0
"""More is no promise."""
ACCOUNTANT = "Gaussian differential privacy, composed exactly; epsilon by dp-accounting"
"""How this is called in reports."""


def epsilon_of(mu: float, delta: float) -> float:
    """The epsilon that belongs to a delta.

    Args:
        mu: Privacy loss, at least 0; infinite if there is no noise.
        delta: In (0, 1).

    Raises:
        ValueError: If an argument is impossible.

    Example:
        >>> round(epsilon_of(1 / 3.73064, 1e-5), 4)
        1.0
    """
    _check_delta(delta)
    if not mu >= 0:
        msg = f"A privacy loss of {mu!r} is impossible; give a mu of at least 0."
        raise ValueError(msg)
    if mu == 0:
        return 0.0
    from dp_accounting import get_epsilon_gaussian  # noqa: PLC0415 - it takes a second to import, and few need it

    return float(get_epsilon_gaussian(1 / mu, delta * (1 - 2 * SLACK))) + SLACK


def mu_of(epsilon: float, delta: float) -> float:
    """The largest privacy loss that keeps a promise.

    Args:
        epsilon: Above :data:`SLACK`, at most :data:`LARGEST_EPSILON`.
        delta: In (0, 1).

    Raises:
        ValueError: If an argument is impossible.

    Example:
        >>> round(1 / mu_of(2.0, 1e-5), 4)  # the noise, in multiples of what one picture can change
        1.9938
    """
    _check_delta(delta)
    if not SLACK < epsilon <= LARGEST_EPSILON:
        msg = f"The privacy parameter epsilon is {epsilon!r}; give 0.01 to {LARGEST_EPSILON:g}, best 0.5 to 8."
        raise ValueError(msg)
    from dp_accounting import get_sigma_gaussian  # noqa: PLC0415 - likewise

    return 1 / float(get_sigma_gaussian(epsilon - SLACK, delta * (1 - 2 * SLACK)))


def composed(losses: Iterable[float]) -> float:
    """The privacy loss of several releases about the same pictures.

    Example:
        >>> composed([3.0, 4.0])
        5.0
    """
    return math.sqrt(math.fsum(mu**2 for mu in losses))


def noise_multipliers(mu: float, shares: Sequence[float]) -> tuple[float, ...]:
    """Noise of each round, so that all rounds together lose ``mu``.

    Args:
        mu: Privacy loss of all rounds, above 0.
        shares: Each round's share of the precision (one over the noise's variance); positive, with sum 1.

    Returns:
        Per round, the standard deviation of the noise divided by the most that one picture can change.

    Raises:
        ValueError: If the shares are others.

    Example:
        >>> noise_multipliers(0.5, [0.25, 0.75])[0]
        4.0
    """
    if not shares or min(shares) <= 0 or not math.isclose(math.fsum(shares), 1, rel_tol=1e-9):
        msg = f"The rounds share the precision as {list(shares)}; give positive shares that add up to 1."
        raise ValueError(msg)
    return tuple(1 / (mu * math.sqrt(share)) for share in shares)


def of_group(mu: float, size: int) -> float:
    """The privacy loss of a part that is in several pictures, each of which is protected by ``mu``."""
    return size * mu


def _check_delta(delta: float) -> None:
    if not 0 < delta < 1:
        msg = f"The privacy parameter delta is {delta!r}; give a number in (0, 1), well below 1 / number of pictures."
        raise ValueError(msg)
