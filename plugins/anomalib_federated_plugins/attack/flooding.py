"""Flooding: rows far from everything, which leave less of a fixed budget to honest rows."""

from __future__ import annotations

import torch

from anomalib_federated.bank import MemoryBank
from anomalib_federated.interfaces.attack import Attack, Loot
from anomalib_federated_plugins.attack.own_rows import with_own_rows


class Flooding(Attack):
    """Sends rows in random directions around the mean of its honest rows, far from these and from each other.

    A coreset that picks the farthest row next takes all of them before most honest ones.

    Args:
        distance: From the mean of the honest rows, in units of their own root mean square distance from it.
        share: Of the rows of the bank that is sent, how many are noise.

    Raises:
        ValueError: If the distance or the share is impossible.
    """

    def __init__(self, *, distance: float = 3.0, share: float = 0.5) -> None:
        super().__init__(share=share)
        if not 0 < distance < float("inf"):
            msg = f"The flooding attack's distance is {distance!r}; give a number above 0."
            raise ValueError(msg)
        self.distance = distance

    def poison(self, loot: Loot, *, seed: int) -> MemoryBank:
        """The bank with noise in it."""
        honest = loot.bank.features.float()
        mean = honest.mean(0)
        spread = (honest - mean).norm(dim=1).pow(2).mean().sqrt().clamp_min(torch.finfo(torch.float32).eps)
        count, dim = self.rows(len(honest)), honest.shape[1]
        directions = torch.randn(count, dim, generator=torch.Generator().manual_seed(seed))
        directions /= directions.norm(dim=1, keepdim=True)
        return with_own_rows(loot.bank, mean + self.distance * spread * directions)
