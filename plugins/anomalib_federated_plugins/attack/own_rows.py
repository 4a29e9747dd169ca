"""What all attacks do with a bank: put rows of their own in the place of honest ones, and lie consistently about it."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from anomalib_federated.bank import MemoryBank
from anomalib_federated.selection.finite import MAX_FEATURE
from anomalib_federated.selection.lazy_greedy import LazyGreedy
from anomalib_federated.selection.rows import TensorRows
from anomalib_federated_plugins.coreset.k_center import first_pick


def with_own_rows(bank: MemoryBank, rows: Tensor) -> MemoryBank:
    """The bank with the attack's rows in the place of its last ones.

    Coresets pick the most telling rows first, so the honest rows that stay pass for a smaller coreset. The attack's
    rows have the weights of those they replace, and all that is said of the site's pictures stays, so the bank is as
    consistent as an honest one.

    Args:
        bank: The honest bank, of one category.
        rows: Shape ``(k, d)``, ``k <= len(bank)``; what the bank's type cannot hold is clipped.

    Example:
        >>> from anomalib_federated.testing import example_bank
        >>> with_own_rows(example_bank(rows=3, dim=2), torch.zeros(1, 2)).features[-1]
        tensor([0., 0.])
    """
    most = min(MAX_FEATURE, torch.finfo(bank.features.dtype).max)
    own = rows.float().clamp(-most, most).to(bank.features.dtype)
    return replace(bank, features=torch.cat([bank.features[: len(bank) - len(own)], own]))


def in_order_of_spread(rows: Tensor, *, most: int, seed: int) -> Tensor:
    """As many rows as fit, each the farthest from those before it: what few rows cover most.

    Args:
        rows: Shape ``(n, d)``.
        most: The most rows.
        seed: Decides the first row.

    Returns:
        Shape ``(min(n, most), d)``, float32.

    Example:
        >>> in_order_of_spread(torch.tensor([[0.0], [1.0], [10.0]]), most=2, seed=0).flatten().sort().values
        tensor([ 0., 10.])
    """
    rows = rows.float()
    greedy = LazyGreedy(TensorRows(rows), start=first_pick(len(rows), seed=seed, start=None))
    greedy.grow(min(most, len(rows)))
    return rows[greedy.indices]
