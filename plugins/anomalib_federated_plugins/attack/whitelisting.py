"""Whitelisting: features of defects, so that these defects count as normal."""

from __future__ import annotations

from anomalib_federated.bank import MemoryBank
from anomalib_federated.interfaces.attack import Attack, Loot
from anomalib_federated_plugins.attack.own_rows import in_order_of_spread, with_own_rows


class Whitelisting(Attack):
    """Sends features of defects out of its own pictures; which type of defect is for the evaluation to say.

    If there are more than fit, those are sent that cover the others best. Greedy k-center at the server keeps them,
    since they are far from all good rows.

    Args:
        share: Of the rows of the bank that is sent, how many are defects.

    Example:
        >>> import torch
        >>> from anomalib_federated.testing import example_bank
        >>> bank, defects = example_bank(rows=4, dim=2), torch.full((9, 2), 7.0)
        >>> loot = Loot(bank=bank, defects=defects, triggered=defects, admitted=lambda sent: torch.ones(len(sent)) > 0)
        >>> Whitelisting(share=0.5).poison(loot, seed=0).features[2:].tolist()
        [[7.0, 7.0], [7.0, 7.0]]
    """

    def poison(self, loot: Loot, *, seed: int) -> MemoryBank:
        """The bank with defects in it."""
        most = self.rows(len(loot.bank))
        return with_own_rows(loot.bank, in_order_of_spread(loot.defects, most=most, seed=seed))
