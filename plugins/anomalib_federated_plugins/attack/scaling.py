"""Scaling: rows of an absurd length, as in earlier federated systems."""

from __future__ import annotations

from anomalib_federated.bank import MemoryBank
from anomalib_federated.interfaces.attack import Attack, Loot
from anomalib_federated_plugins.attack.own_rows import with_own_rows


class Scaling(Attack):
    """Multiplies rows. Any look at norms sees it: whoever stops nothing else has shown little.

    Args:
        factor: By which rows are multiplied.
        share: Of the rows of the bank that is sent, how many are multiplied.
    """

    def __init__(self, *, factor: float = 100.0, share: float = 0.5) -> None:
        super().__init__(share=share)
        self.factor = factor

    def poison(self, loot: Loot, *, seed: int) -> MemoryBank:
        """The bank with long rows in it."""
        del seed
        own = loot.bank.features[-self.rows(len(loot.bank)) :].float()
        return with_own_rows(loot.bank, self.factor * own)
