"""Which rows say again what an earlier row said."""

from __future__ import annotations

import torch
from torch import Tensor

from anomalib_federated.selection.distances import nearest

BLOCK = 512
"""Rows that are compared at a time."""


def repeated_rows(features: Tensor, within: Tensor) -> Tensor:
    """Rows that lie near an earlier row which itself repeats none.

    Args:
        features: Shape ``(n, d)``, floating dtype.
        within: Shape ``(n,)``, float64: how far from an earlier row each row repeats it.

    Returns:
        Shape ``(n,)``, bool. Takes ``O(n k d)`` time for ``k`` rows that repeat none.

    Example:
        >>> line = torch.tensor([[0.0], [0.9], [1.8], [9.0], [9.0]])
        >>> repeated_rows(line, torch.ones(5, dtype=torch.float64)).tolist()
        [False, True, False, False, True]
    """
    repeats = torch.zeros(len(features), dtype=torch.bool)
    first: list[Tensor] = []
    for begin in range(0, len(features), BLOCK):
        block, limit = features[begin : begin + BLOCK].float(), within[begin : begin + BLOCK]
        known = _distance_to_known(block, first) <= limit
        # Direct differences: by a product, the little distances that count here would drown in rounding.
        among = torch.cdist(block.double(), block.double(), compute_mode="donot_use_mm_for_euclid_dist")
        close = (among <= limit[:, None]).tril(-1)
        for row in range(len(block)):
            repeats[begin + row] = bool(known[row]) or bool((close[row] & ~repeats[begin : begin + len(block)]).any())
        first.append(block[~repeats[begin : begin + len(block)]])
    return repeats


def _distance_to_known(block: Tensor, first: list[Tensor]) -> Tensor:
    """Distance of each row to the nearest of the known ones, by direct difference; infinite if there is none."""
    if not first:
        return torch.full((len(block),), torch.inf, dtype=torch.float64)
    known = torch.cat(first)
    differences = block.double() - known[nearest(block, known)[1]].double()
    return differences.pow(2).sum(1).sqrt()
