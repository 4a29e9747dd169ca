"""The rows of several banks below each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from anomalib_federated.bank.own_distance import check_plain, places_below_each_other
from anomalib_federated.bank.promises import union_of_privacy
from anomalib_federated.bank.reindex import reindex
from anomalib_federated.bank.row_groups import union_of_groups

if TYPE_CHECKING:
    from anomalib_federated.bank.memory_bank import MemoryBank


def fields_of_union(banks: Sequence[MemoryBank]) -> dict[str, Any]:
    """The arguments of the ``MemoryBank`` that holds all rows of several, see there.

    Args:
        banks: At least one.

    Raises:
        BankError: If the feature spaces differ, the same category of two banks cannot be compared, or not the same was
            promised about a site.
    """
    for bank in banks[1:]:
        banks[0].check_same_space(bank)
    categories = tuple(dict.fromkeys(name for bank in banks for name in bank.categories))
    sites = tuple(dict.fromkeys(name for bank in banks for name in bank.sites))
    dtype = torch.float32 if any(bank.features.dtype == torch.float32 for bank in banks) else torch.float16
    holders = {name: [bank for bank in banks if name in bank.categories] for name in categories}
    for name, held in holders.items():
        if len(held) > 1:
            check_plain(held, name)
    return {
        "features": torch.cat([bank.features.to(dtype) for bank in banks]),
        "row_category": torch.cat([reindex(bank.row_category, bank.categories, categories) for bank in banks]),
        "row_site": torch.cat([reindex(bank.row_site, bank.sites, sites) for bank in banks]),
        "weights": torch.cat([bank.weights for bank in banks]),
        "categories": categories,
        "sites": sites,
        "space": banks[0].space,
        "contributions": tuple(item for bank in banks for item in bank.contributions),
        "coresets": {
            name: " + ".join(dict.fromkeys(bank.coresets[name] for bank in held)) for name, held in holders.items()
        },
        "covering_radius": {
            name: held[0].covering_radius[name]
            for name, held in holders.items()
            if len(held) == 1 and name in held[0].covering_radius
        },
        "privacy": union_of_privacy(banks),
        "row_place": places_below_each_other(banks),
        "projections": {name: projection for bank in banks for name, projection in bank.projections.items()},
        **union_of_groups(banks),
    }
