"""How a budget of rows is shared among the sites of a category, and the rows that a site's share buys."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from math import floor

import torch
from torch import Tensor

from anomalib_federated.bank.category_union import CategoryUnion
from anomalib_federated.interfaces.coreset import Coreset


def proportional_shares(budget: int, sizes: Sequence[int], *, limits: Sequence[int]) -> list[int]:
    """Share a budget in proportion to sizes, as far as limits allow; whole numbers by the largest remainder.

    Everybody gets at least 1, and nobody more than its limit; what this adds or leaves is shared in proportion by the
    others. Of equal remainders, the earlier is rounded up.

    Args:
        budget: Rows to share; a budget above the sum of the limits is that sum.
        sizes: At least 1 each.
        limits: The most that each can take, at least 1 each.

    Returns:
        Shares that add up to the budget, in the order of the sizes.

    Raises:
        ValueError: If the budget does not give everybody 1.

    Example:
        >>> proportional_shares(100, [10, 20, 70], limits=[100, 100, 100])
        [10, 20, 70]
        >>> proportional_shares(100, [10, 20, 70], limits=[100, 100, 40])
        [20, 40, 40]
    """
    check_everybody_gets_one(budget, len(sizes))
    quotas = _quotas(min(budget, sum(limits)), sizes, limits=limits)
    shares = [floor(quota) for quota in quotas]
    by_remainder = sorted(range(len(quotas)), key=lambda each: shares[each] - quotas[each])
    for each in by_remainder[: round(sum(quotas)) - sum(shares)]:
        shares[each] += 1
    return shares


def check_everybody_gets_one(budget: int, sites: int) -> None:
    """Refuse a budget that cannot give each site a row.

    Raises:
        ValueError: If it cannot.
    """
    if budget < sites:
        msg = f"A budget of {budget} rows cannot give each of {sites} sites a row; allow at least {sites}."
        raise ValueError(msg)


def choose_shares(
    union: CategoryUnion, shares: Mapping[str, int], make: Callable[[int], Coreset], *, seed: int
) -> Tensor:
    """As many rows of each site as its share, by a coreset of that site's rows alone.

    Args:
        union: The rows of all sites, of one category.
        shares: Per site, the most rows to choose.
        make: Makes the coreset of so many rows.
        seed: Decides every random choice of the coresets.

    Returns:
        Row numbers of shape ``(k,)``, int64, site by site.
    """
    numbers = union.numbers
    chosen = [
        numbers[site][make(shares[site]).select(bank.features, seed=seed).indices] for site, bank in union.banks.items()
    ]
    return torch.cat(chosen)


def _quotas(budget: int, sizes: Sequence[int], *, limits: Sequence[int]) -> list[Fraction]:
    """The exact shares, each between 1 and its limit, whose sum is the budget."""
    quotas = [Fraction(0)] * len(sizes)
    still, left = list(range(len(sizes))), Fraction(budget)
    while still:
        whole = sum(sizes[each] for each in still)
        fair = {each: left * sizes[each] / whole for each in still}
        bounded = {each: min(max(share, Fraction(1)), Fraction(limits[each])) for each, share in fair.items()}
        excess = sum(bounded.values()) - left
        # Those whose bound takes more than there is are settled first, since the others then get less; and vice versa.
        settled = [each for each in still if (bounded[each] - fair[each]) * excess > 0] if excess else still
        for each in settled:
            quotas[each] = bounded[each]
        left -= sum(bounded[each] for each in settled)
        still = [each for each in still if each not in settled]
    return quotas
