"""How a budget of rows is shared among several: sites, categories, groups."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import floor


def proportional_shares(
    budget: int, sizes: Sequence[int], *, limits: Sequence[int], least: int = 1, of: str = "sites"
) -> list[int]:
    """Share a budget in proportion to sizes, as far as limits allow; whole numbers by the largest remainder.

    Everybody gets at least ``least``, or its limit if that is less, and nobody more than its limit; what this adds or
    leaves is shared in proportion by the others. Of equal remainders, the earlier is rounded up.

    Args:
        budget: Rows to share; a budget above the sum of the limits is that sum.
        sizes: At least 1 each; equal sizes share equally.
        limits: The most that each can take, at least 1 each.
        least: What everybody gets, at least 0.
        of: What shares the budget, for error messages.

    Returns:
        Shares that add up to the budget, in the order of the sizes.

    Raises:
        ValueError: If the budget does not give everybody its least.

    Example:
        >>> proportional_shares(100, [10, 20, 70], limits=[100, 100, 100])
        [10, 20, 70]
        >>> proportional_shares(100, [10, 20, 70], limits=[100, 100, 40])
        [20, 40, 40]
        >>> proportional_shares(100, [10, 20, 70], limits=[100, 100, 100], least=25)
        [25, 25, 50]
    """
    check_everybody_gets(least, budget, limits, of=of)
    quotas = _quotas(min(budget, sum(limits)), sizes, limits=limits, least=least)
    shares = [floor(quota) for quota in quotas]
    by_remainder = sorted(range(len(quotas)), key=lambda each: shares[each] - quotas[each])
    for each in by_remainder[: round(sum(quotas)) - sum(shares)]:
        shares[each] += 1
    return shares


def check_everybody_gets(least: int, budget: int, limits: Sequence[int], *, of: str = "sites") -> None:
    """Refuse a budget that cannot give everybody so many rows, or all it has if that is less.

    Args:
        least: Rows that everybody shall get.
        budget: Rows to share.
        limits: The most that each can take.
        of: What shares the budget, for the error message.

    Raises:
        ValueError: If it cannot.
    """
    if budget < (needed := sum(min(least, limit) for limit in limits)):
        wanted = "a row" if least == 1 else f"{least} rows"
        msg = f"A budget of {budget} rows cannot give each of {len(limits)} {of} {wanted}; allow at least {needed}."
        raise ValueError(msg)


def _quotas(budget: int, sizes: Sequence[int], *, limits: Sequence[int], least: int) -> list[Fraction]:
    """The exact shares, each between ``least`` (or its limit) and its limit, whose sum is the budget."""
    quotas = [Fraction(0)] * len(sizes)
    still, left = list(range(len(sizes))), Fraction(budget)
    while still:
        whole = sum(sizes[each] for each in still)
        fair = {each: left * sizes[each] / whole for each in still}
        bounded = {each: min(max(share, Fraction(least)), Fraction(limits[each])) for each, share in fair.items()}
        excess = sum(bounded.values()) - left
        # Those whose bound takes more than there is are settled first, since the others then get less; and vice versa.
        settled = [each for each in still if (bounded[each] - fair[each]) * excess > 0] if excess else still
        for each in settled:
            quotas[each] = bounded[each]
        left -= sum(bounded[each] for each in settled)
        still = [each for each in still if each not in settled]
    return quotas
