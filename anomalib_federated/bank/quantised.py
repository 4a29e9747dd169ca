"""Rows in a quarter of the bytes: int8 with one scale per row.

A row's scale is its largest magnitude / 127, in float32; each number becomes the nearest whole multiple of it. Read
again, rows are float32 rather than float16: products of an int8 and a float32 are within its range whatever the scale,
and rounding them leaves them where they are when they are rounded a second time (tested for all scales there are). So
rows that were once rounded, and any selection or union of them, are stored in a quarter of the bytes and lose nothing
by it, while float16 would round them again by up to an eighth of a scale.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from anomalib_federated.bank.contribution import Contribution

if TYPE_CHECKING:
    from anomalib_federated.bank.memory_bank import MemoryBank

LEVELS = 127
"""Largest magnitude of a stored number; -128 is not used."""
ROUNDING = 1.0001 / (2 * LEVELS)
"""Most that rounding moves a number, as a share of the largest magnitude in its row."""
SMALLEST = 2.0**-100
"""A row without any number of this magnitude becomes 0, since its scale might not be a normal float32."""
_BLOCK = 4096
"""Rows at a time."""


def quantise(features: Tensor) -> tuple[Tensor, Tensor]:
    """Round rows to whole multiples of their scale.

    Args:
        features: Shape ``(n, d)``, float32, finite, ``d >= 1``.

    Returns:
        Multiples, ``(n, d)`` int8 in -127 .. 127, and scales, ``(n,)`` float32, at least 0.

    Example:
        >>> levels, scales = quantise(torch.tensor([[254.0, -127.0, 1.5]]))
        >>> levels.tolist(), scales.tolist()
        ([[127, -64, 1]], [2.0])
    """
    largest = features.abs().amax(1)
    scales = torch.where(largest >= SMALLEST, largest / LEVELS, 0.0)
    steps = torch.where(scales > 0, scales, 1.0)
    return (features / steps[:, None]).round().to(torch.int8), scales


def restore(levels: Tensor, scales: Tensor) -> Tensor:
    """The rows that :func:`quantise` rounded, ``(n, d)`` float32.

    Each number is within ``ROUNDING`` times the largest magnitude of its row (or within ``SMALLEST``) of what it was.
    """
    return levels.float().mul_(scales[:, None])  # in place: a product of two types takes twice the memory


def _blocks(features: Tensor) -> Iterator[Tensor]:
    for first in range(0, len(features), _BLOCK):
        yield features[first : first + _BLOCK]


def as_quantised(features: Tensor) -> tuple[Tensor, Tensor] | None:
    """Multiples and scales that give exactly these rows, bit for bit; ``None`` if there are none.

    Args:
        features: Shape ``(n, d)``, float16 or float32; only float32 can be such rows.
    """
    if features.dtype != torch.float32:
        return None
    parts = []
    for block in _blocks(features):
        parts.append(quantise(block))
        # As bits, since -0.0 would come back as 0.0.
        if not torch.equal(restore(*parts[-1]).view(torch.int32), block.contiguous().view(torch.int32)):
            return None
    levels, scales = zip(*parts, strict=True)
    return torch.cat(levels), torch.cat(scales)


def quantised_bank(bank: MemoryBank) -> MemoryBank:
    """The bank with its rows rounded, and with radii that still hold.

    Returns:
        A float32 bank that takes a quarter of the bytes. A covering radius grows by the farthest that a row moved, a
        mean distance by the mean over the patches: both become *upper bounds* of what would be measured again.

    Raises:
        BankError: If a radius or distance becomes impossibly large.

    Example:
        >>> from anomalib_federated.testing import example_bank
        >>> bank = example_bank(rows=100, dim=64)
        >>> len(quantised_bank(bank).to_bytes()) / len(bank.to_bytes()) < 0.4
        True
    """
    features = torch.cat([restore(*quantise(block)) for block in _blocks(bank.features.float())])
    moved = (features.double() - bank.features.double()).norm(dim=1)
    return replace(
        bank,
        features=features,
        contributions=tuple(_moved_on(item, bank, moved) for item in bank.contributions),
        covering_radius={
            name: radius + float(moved[bank.row_category == bank.categories.index(name)].max())
            for name, radius in bank.covering_radius.items()
        },
    )


def _moved_on(item: Contribution, bank: MemoryBank, moved: Tensor) -> Contribution:
    """A site's contribution after each of the bank's rows has moved that far."""
    of_category = bank.row_category == bank.categories.index(item.category)
    own = of_category & (bank.row_site == bank.sites.index(item.site))
    if not bool(own.any()):
        return item
    farthest, total = float(moved[own].max()), float((moved[own] * bank.weights[own]).sum())
    return replace(
        item,
        covering_radius=_more(item.covering_radius, farthest),
        mean_distance=_more(item.mean_distance, min(farthest, total / item.patches)),
    )


def _more(distance: float | None, by: float) -> float | None:
    """A distance that is not told stays so."""
    return None if distance is None else distance + by
