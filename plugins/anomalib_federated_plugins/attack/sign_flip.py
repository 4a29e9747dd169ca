"""Sign flip: rows on the other side of the origin, as in earlier federated systems."""

from __future__ import annotations

from anomalib_federated.bank import MemoryBank
from anomalib_federated.interfaces.attack import Attack, Loot
from anomalib_federated_plugins.attack.own_rows import with_own_rows


class SignFlip(Attack):
    """Sends rows with all signs changed. Their norms are honest, their directions are not.

    Args:
        share: Of the rows of the bank that is sent, how many are flipped.
    """

    def poison(self, loot: Loot, *, seed: int) -> MemoryBank:
        """The bank with flipped rows in it."""
        del seed
        return with_own_rows(loot.bank, -loot.bank.features[-self.rows(len(loot.bank)) :].float())
