"""No privacy: the bank is sent as it is, and its report says so."""

from __future__ import annotations

from anomalib_federated.bank import MemoryBank
from anomalib_federated.interfaces.privacy import BankPrivacy, SiteRows
from anomalib_federated.privacy import PrivacyReport
from anomalib_federated.privacy.noise import Noise

BANK = ("the rows of the bank", "weights, covering radius, mean distance", "numbers of pictures and patches")
"""What a bank tells."""


class NoPrivacy(BankPrivacy):
    """Sends the bank as it is.

    Example:
        >>> import torch
        >>> from anomalib_federated.testing import example_bank
        >>> rows = SiteRows(bank=example_bank(rows=2), units=torch.tensor([0, 1]))
        >>> NoPrivacy().report(rows).in_words[0]
        'Nothing is promised: what is sent can be traced back to single pictures.'
    """

    name = "none"

    def report(self, rows: SiteRows) -> PrivacyReport:
        """That nothing is promised."""
        del rows
        return PrivacyReport(
            plugin=self.name, unit="none", mechanism="None: the bank is sent as it is.", accountant="none", exposes=BANK
        )

    def protect(self, rows: SiteRows, *, noise: Noise) -> MemoryBank:
        """The same bank."""
        del noise
        return rows.bank
