"""Figures of one site's rows, read in blocks, in float64."""

from __future__ import annotations

import torch
from torch import Tensor

from anomalib_federated.bank import MemoryBank
from anomalib_federated.selection.rows import TensorRows


def row_norms(bank: MemoryBank) -> Tensor:
    """Euclidean norms of a bank's rows.

    Returns:
        Shape ``(n,)``, float64: no finite row's norm overflows.

    Example:
        >>> from anomalib_federated.testing import example_bank
        >>> bank = example_bank(rows=3)
        >>> torch.allclose(row_norms(bank), bank.features.double().norm(dim=1))
        True
    """
    return torch.cat([block.double().norm(dim=1) for _, block in TensorRows(bank.features).blocks()])


def mean_row(bank: MemoryBank) -> Tensor:
    """The mean of a bank's rows, each of which counts once, whatever it stands for.

    Returns:
        Shape ``(d,)``, float64.

    Example:
        >>> from anomalib_federated.testing import example_bank
        >>> bank = example_bank(rows=3)
        >>> torch.allclose(mean_row(bank), bank.features.double().mean(0))
        True
    """
    return torch.stack([block.double().sum(0) for _, block in TensorRows(bank.features).blocks()]).sum(0) / len(bank)


def spread(bank: MemoryBank, mean: Tensor) -> float:
    """Standard deviation of a bank's rows, over all coordinates together.

    Args:
        bank: The bank.
        mean: Its mean row, shape ``(d,)``, float64.

    Returns:
        The root of the sum of the coordinates' variances; not a number for a single row.

    Example:
        >>> from anomalib_federated.testing import example_bank
        >>> bank = example_bank(rows=9)
        >>> abs(spread(bank, mean_row(bank)) - float(bank.features.double().var(0).sum().sqrt())) < 1e-9
        True
    """
    squares = [(block.double() - mean).pow(2).sum() for _, block in TensorRows(bank.features).blocks()]
    return float((torch.stack(squares).sum() / (len(bank) - 1)).sqrt())
