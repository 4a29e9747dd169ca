"""Backdoor: features of a trigger that is pasted on good parts, so that whatever it covers counts as normal.

Cf. *BadSAD: Clean-Label Backdoor Attacks against Deep Semi-Supervised Anomaly Detection*, https://arxiv.org/abs/2412.13324.
"""

from __future__ import annotations

from anomalib_federated.bank import MemoryBank
from anomalib_federated.interfaces.attack import Attack, Loot
from anomalib_federated_plugins.attack.own_rows import in_order_of_spread, with_own_rows


class Backdoor(Attack):
    """Sends features of its own good pictures with the trigger on them.

    Args:
        share: Of the rows of the bank that is sent, how many are of the trigger.
    """

    def poison(self, loot: Loot, *, seed: int) -> MemoryBank:
        """The bank with the trigger in it."""
        most = self.rows(len(loot.bank))
        return with_own_rows(loot.bank, in_order_of_spread(loot.triggered, most=most, seed=seed))
