"""Stealth: rows part of the way from good parts to defects, too near to good ones to be noticed."""

from __future__ import annotations

import torch
from torch import Tensor

from anomalib_federated.bank import MemoryBank
from anomalib_federated.interfaces.attack import Attack, Loot
from anomalib_federated.selection.distances import nearest
from anomalib_federated_plugins.attack.own_rows import in_order_of_spread, with_own_rows


class Stealth(Attack):
    """Sends, for each of its defects, a row on the straight way to it from the honest row that is nearest.

    Args:
        fraction: Of the way, in (0, 1]; 1 is whitelisting.
        share: Of the rows of the bank that is sent, how many are such.

    Raises:
        ValueError: If the fraction or the share is impossible.
    """

    def __init__(self, *, fraction: float = 0.5, share: float = 0.5) -> None:
        super().__init__(share=share)
        if isinstance(fraction, bool) or not 0 < fraction <= 1:
            msg = f"The stealth attack's fraction is {fraction!r}; give a number in (0, 1]."
            raise ValueError(msg)
        self.fraction = fraction

    def poison(self, loot: Loot, *, seed: int) -> MemoryBank:
        """The bank with such rows in it."""
        defects = in_order_of_spread(loot.defects, most=self.rows(len(loot.bank)), seed=seed)
        start = start_of_way(defects, loot.bank)
        return with_own_rows(loot.bank, torch.lerp(start, defects, self.fraction))


def start_of_way(defects: Tensor, bank: MemoryBank) -> Tensor:
    """The honest row nearest to each defect, shape ``(k, d)``, float32."""
    honest = bank.features.float()
    return honest[nearest(defects, honest)[1]]
