"""How far every site's rows are from those of every other site."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import permutations

import torch
from torch import Tensor

from anomalib_federated.bank import MemoryBank
from anomalib_federated.interfaces.screening import Refusal
from anomalib_federated.selection.budget import SHARE_ROUNDING
from anomalib_federated.selection.distances import nearest
from anomalib_federated.selection.rows import TensorRows

LEAST_SHARE = 0.01
"""Of rows that screenings take to be typical; of fewer nothing can be said."""


def distances_between_sites(banks: Sequence[MemoryBank]) -> list[Tensor]:
    """Distances of rows to the nearest row of each other site.

    Args:
        banks: One bank per site, of one category and feature space.

    Returns:
        Per site with ``n`` rows, shape ``(sites, n)``, float32: Euclidean distance of each of its rows to the nearest
        of each site; infinite to its own. Takes ``O(N^2 d)`` time for ``N`` rows of all sites.

    Example:
        >>> from anomalib_federated.testing import example_bank
        >>> banks = [example_bank(site="a", rows=5), example_bank(site="b", rows=3)]
        >>> [distances.shape for distances in distances_between_sites(banks)]
        [torch.Size([2, 5]), torch.Size([2, 3])]
    """
    distances = [torch.full((len(banks), len(bank)), torch.inf) for bank in banks]
    for own, other in permutations(range(len(banks)), 2):
        rows = banks[other].features.float()
        for which, block in TensorRows(banks[own].features).blocks():
            # By differences: of rows that two sites have in common, a product leaves a distance that is none.
            distances[own][other, which] = (block - rows[nearest(block, rows)[1]]).norm(dim=1)
    return distances


def share_within(distances: Tensor, share: float) -> float:
    """The smallest of some distances within which at least such a share of them lies.

    Args:
        distances: Shape ``(n,)``, ``n >= 1``.
        share: In (0, 1].

    Example:
        >>> share_within(torch.tensor([4.0, 1.0, 3.0, 2.0]), 0.75)
        3.0
    """
    rank = max(1, math.ceil(share * len(distances) - SHARE_ROUNDING))
    return float(distances.kthvalue(rank).values)


def refuse_all(banks: Sequence[MemoryBank], *, reason: str) -> list[Refusal]:
    """All rows of all sites: of a screening that has too few sites to compare."""
    return [Refusal(site=bank.sites[0], rows=torch.ones(len(bank), dtype=torch.bool), reason=reason) for bank in banks]
