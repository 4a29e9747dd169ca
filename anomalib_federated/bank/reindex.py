"""Indices into one list of names as indices into another."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def reindex(index: Tensor, old: Sequence[str], new: Sequence[str]) -> Tensor:
    """Translate indices into ``old`` to indices into ``new``; names that ``new`` lacks must not be in use.

    Example:
        >>> reindex(torch.tensor([0, 1, 1]), ["a", "b"], ["b", "c", "a"]).tolist()
        [2, 0, 0]
    """
    numbers = {name: number for number, name in enumerate(new)}
    table = torch.tensor([numbers.get(name, -1) for name in old], dtype=torch.int32)
    return table[index.long()]
