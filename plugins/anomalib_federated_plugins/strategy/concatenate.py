"""All rows of all sites, nothing dropped."""

from __future__ import annotations

from collections.abc import Sequence

from anomalib_federated.bank import MemoryBank
from anomalib_federated.interfaces.strategy import BankStrategy


class Concatenate(BankStrategy):
    """Puts the site banks below each other. The global bank grows with the number of sites."""

    def aggregate(self, banks: Sequence[MemoryBank]) -> MemoryBank:
        """The union of the banks."""
        return MemoryBank.merge(banks)
