"""Categories whose distances are measured in a way of their own: at places, or after a projection.

A row may have a place in the picture; a patch is then compared with those rows of its category alone whose place is
nearest to its own. A category may have a projection; its distances are lengths after multiplication by it. Distances of
two banks that each have a way of their own cannot be compared, so such categories are never joined.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from anomalib_federated.bank.validation import refuse
from anomalib_federated.selection.finite import MAX_FEATURE
from anomalib_federated.untrusted import shown

if TYPE_CHECKING:
    from anomalib_federated.bank.memory_bank import MemoryBank

EVERYWHERE = 0.5
"""Row and column of rows that count everywhere: rows of a category that are all at one place are nearest to all."""


def places_in_use(places: Tensor | None, n: int) -> Tensor | None:
    """The places of a bank's rows; ``None`` if all of them count everywhere.

    Args:
        places: As they were given.
        n: Number of rows.

    Raises:
        BankError: If they are not (n, 2) float32, in 0 .. 1.
    """
    if places is None:
        return None
    if places.shape != (n, 2) or places.dtype != torch.float32:
        refuse(f"row_place must be ({n}, 2) float32, got {tuple(places.shape)} {places.dtype}")
    if not bool(((places >= 0) & (places <= 1)).all()):  # written so that NaN is refused, too
        refuse("a row's place lies outside of the picture; row_place goes from 0 to 1")
    return None if bool((places == EVERYWHERE).all()) else places


def check_projections(projections: Mapping[str, Tensor], features: Tensor, categories: Sequence[str]) -> None:
    """Refuse projections of other categories, of another shape or type, or with numbers by which rows would overflow.

    Args:
        projections: Per category, see :class:`anomalib_federated.bank.MemoryBank`; not trusted.
        features: The bank's rows, shape ``(n, d)``.
        categories: The bank's categories.

    Raises:
        BankError: As said above.
    """
    largest = max(map(abs, torch.stack(features.aminmax()).tolist())) if projections else 0.0
    dim = features.shape[1]
    for category, projection in projections.items():
        if category not in categories:
            refuse(f"there is a projection of category {shown(category)}, which the bank does not hold")
        wanted = projection.ndim == 2 and projection.shape[0] == dim and 1 <= projection.shape[1] <= dim
        if not wanted or projection.dtype != torch.float32:
            found = f"{tuple(projection.shape)} {projection.dtype}"
            refuse(f"the projection of category '{category}' must be ({dim}, 1 .. {dim}) float32, got {found}")
        longest = float(projection.double().abs().sum(0).max())
        if not max(longest, longest * largest) <= MAX_FEATURE:
            refuse(f"the projection of category '{category}' holds a NaN, infinite or absurdly large value")


def has_own_distance(bank: MemoryBank, category: str) -> bool:
    """Whether a bank has places or a projection for a category that it holds."""
    if category in bank.projections or bank.row_place is None:
        return category in bank.projections
    return bank.for_category(category).row_place is not None


def check_plain(banks: Sequence[MemoryBank], category: str) -> None:
    """Refuse to join rows of a category whose distances any of the banks measures in a way of its own.

    Raises:
        BankError: If one of them has places or a projection for the category; the error names its sites.
    """
    for bank in banks:
        if has_own_distance(bank, category):
            sites = ", ".join(bank.sites[:3])
            refuse(
                f"the bank of {sites} measures distances of category '{category}' by places or a projection of its "
                "own, so they cannot be compared with those of other rows; keep it as it is"
            )


def places_below_each_other(banks: Sequence[MemoryBank]) -> Tensor | None:
    """Places of all rows of several banks; those of a bank without places count everywhere."""
    if all(bank.row_place is None for bank in banks):
        return None
    return torch.cat(
        [torch.full((len(bank), 2), EVERYWHERE) if bank.row_place is None else bank.row_place for bank in banks]
    )
