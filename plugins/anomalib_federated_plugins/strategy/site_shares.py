"""The rows that each site's share of a budget buys."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from anomalib_federated.bank.category_union import CategoryUnion
from anomalib_federated.interfaces.coreset import Coreset


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
