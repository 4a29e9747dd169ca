"""How normal a patch is to its q-th nearest site: what fewer than q sites alone have seen makes nothing normal.

The rows of a category are grouped by the site that they came from. A patch's distance is not that to the nearest row of
all, but the q-th smallest of its distances to the sites, each that to its nearest row. So it always lies

- at or above the distance to the nearest row of any honest site, as long as fewer than ``q`` sites are bad: a defect
  that bad sites send as normal stays as far away as the honest rows are;
- at or below the q-th smallest distance to the honest sites alone: bad sites cannot make good parts look anomalous.

Both follow from order statistics: of S sites, removing b < q of them leaves the q-th smallest of all between the
(q - b)-th smallest of the others and their q-th smallest. No property of features is needed, and nothing has to be
recognised as bad.
"""

from __future__ import annotations

import torch
from torch import Tensor

from anomalib_federated.bank import BankError, MemoryBank
from anomalib_federated.models.nearest_rows import nearest_rows
from anomalib_federated.selection.distances import in_graph, squared_distances


def site_blocks(bank: MemoryBank, quorum: int) -> Tensor:
    """The rows of each site, below each other in blocks of one length.

    Shorter sites repeat their first row, which changes no distance, so that graphs need no length of each.

    Args:
        bank: Rows of one category.
        quorum: The sites that must be close to what is normal.

    Returns:
        Row numbers, shape ``(sites, length)``, int64.

    Raises:
        BankError: If the bank has rows of fewer sites, or rows with places: each counts elsewhere, and not all sites
            have one everywhere.

    Example:
        >>> from anomalib_federated.testing import example_bank
        >>> both = MemoryBank.merge([example_bank(rows=3, site="a"), example_bank(rows=1, site="b")])
        >>> site_blocks(both, 2)
        tensor([[0, 1, 2],
                [3, 3, 3]])
    """
    (category,) = bank.categories
    if bank.row_place is not None:
        msg = (
            f"site_quorum is {quorum}, but the rows of category '{category}' count at places of their own; set it to 1."
        )
        raise BankError(msg)
    members = [
        numbers for site in range(len(bank.sites)) if len(numbers := (bank.row_site == site).nonzero().flatten())
    ]
    if len(members) < quorum:
        held = "1 site" if len(members) == 1 else f"{len(members)} sites"
        msg = (
            f"site_quorum is {quorum}, but category '{category}' has rows of {held} in the bank; choose a lower "
            "quorum, or a strategy that keeps rows of every site (fair_coreset by site, concatenate)."
        )
        raise BankError(msg)
    length = max(map(len, members))
    return torch.stack([torch.cat([own, own[:1].expand(length - len(own))]) for own in members])


def nearest_by_quorum(queries: Tensor, rows: Tensor, blocks: Tensor, quorum: int) -> tuple[Tensor, Tensor]:
    """Distance of each patch to its q-th nearest site, and the row of that site which is nearest.

    Args:
        queries: Shape ``(n, k)``, float32, with the rows' centre subtracted.
        rows: Shape ``(sites * length, k)``, float32: those of :func:`site_blocks`, one block after the other.
        blocks: Shape ``(sites, length)``: their numbers in the bank.
        quorum: Which site counts, from 1.

    Returns:
        Distances and row numbers, both of shape ``(n,)``: float32 and int64.

    Example:
        >>> rows, blocks = torch.tensor([[0.0], [9.0], [7.0], [7.0]]), torch.tensor([[0, 1], [2, 2]])
        >>> nearest_by_quorum(torch.tensor([[8.0], [9.0]]), rows, blocks, 2)
        (tensor([1., 2.]), tensor([2, 2]))
    """
    if in_graph():
        # Shapes, not lengths: those would be frozen into a graph.
        apart = squared_distances(queries, rows).reshape(-1, *blocks.shape)
        squared, own = apart.min(2)
        distances = squared.sqrt()
    else:
        found = [nearest_rows(queries, block) for block in rows.reshape(*blocks.shape, -1)]
        distances, own = (torch.stack(parts, 1) for parts in zip(*found, strict=True))
    ordered, sites = distances.topk(quorum, dim=1, largest=False)
    site = sites[:, -1]
    return ordered[:, -1], own.gather(1, site.unsqueeze(1)).squeeze(1) + site * blocks.shape[1]
