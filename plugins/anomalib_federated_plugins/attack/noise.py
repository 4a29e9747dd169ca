"""Noise: rows with much Gaussian noise, as in earlier federated systems."""

from __future__ import annotations

import torch

from anomalib_federated.bank import MemoryBank
from anomalib_federated.interfaces.attack import Attack, Loot
from anomalib_federated_plugins.attack.own_rows import with_own_rows


class Noise(Attack):
    """Adds noise to rows.

    Args:
        std: Standard deviation of the noise, in units of that of each feature over the honest rows.
        share: Of the rows of the bank that is sent, how many get noise.

    Raises:
        ValueError: If the standard deviation or the share is impossible.
    """

    def __init__(self, *, std: float = 10.0, share: float = 0.5) -> None:
        super().__init__(share=share)
        if not 0 < std < float("inf"):
            msg = f"The noise attack's std is {std!r}; give a number above 0."
            raise ValueError(msg)
        self.std = std

    def poison(self, loot: Loot, *, seed: int) -> MemoryBank:
        """The bank with noisy rows in it."""
        honest = loot.bank.features.float()
        # A lone row has no spread, and a feature that never changes would get no noise.
        spread = honest.std(0, correction=0).clamp_min(torch.finfo(torch.float16).eps)
        own = honest[-self.rows(len(honest)) :]
        noise = torch.randn(own.shape, generator=torch.Generator().manual_seed(seed))
        return with_own_rows(loot.bank, own + self.std * spread * noise)
