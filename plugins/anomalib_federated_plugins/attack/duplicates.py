"""Duplicates: one row again and again, for whatever counts rows."""

from __future__ import annotations

import torch

from anomalib_federated.bank import MemoryBank
from anomalib_federated.interfaces.attack import Attack, Loot
from anomalib_federated_plugins.attack.own_rows import with_own_rows


class Duplicates(Attack):
    """Sends one of its honest rows many times: it drowns others in whatever goes by numbers of rows.

    Args:
        share: Of the rows of the bank that is sent, how many are copies.
    """

    def poison(self, loot: Loot, *, seed: int) -> MemoryBank:
        """The bank with copies in it."""
        n, count = len(loot.bank), self.rows(len(loot.bank))
        # Of a row that is sent anyway, so that all copies are too many; if none is, all but one are.
        row = int(torch.randint(max(1, n - count), (1,), generator=torch.Generator().manual_seed(seed)))
        return with_own_rows(loot.bank, loot.bank.features[row].expand(count, -1))
