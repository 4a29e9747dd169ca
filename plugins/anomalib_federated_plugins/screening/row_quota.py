"""No site speaks louder than the others by sending more."""

from __future__ import annotations

import hashlib
import statistics
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from anomalib_federated.bank import MemoryBank
from anomalib_federated.interfaces.screening import Refusal, Screening
from anomalib_federated.selection.rows import TensorRows
from anomalib_federated_plugins.screening.arguments import check_number


class RowQuota(Screening):
    """Limits the rows of each site; which of a site's rows are kept beyond that is drawn by lot.

    The lot is the only rule that a flooder gains nothing from: if a share of its rows is poison, the same share of what
    is kept is, on average. By order, weight or distance it would put its poison where the rule keeps it. So that it
    cannot compute the lot beforehand either, the lot depends on the seed *and* on the rows of all sites.

    It does not see what the rows are. A small site loses nothing by it, a large honest one may: of two thousand honest
    rows beside sites of a hundred, three hundred are kept by default.

    Args:
        times: A site keeps at most so many times the rows of the middle site (of an even number, of the larger one
            in the middle); at least 1.
        most: A number of rows that a site keeps instead of that; at least 1.
        seed: Takes part in the lot.

    Raises:
        ValueError: If an argument is impossible.

    Example:
        >>> from anomalib_federated.testing import example_bank
        >>> banks = [example_bank(site=site, rows=rows) for site, rows in {"a": 10, "b": 12, "c": 90}.items()]
        >>> [(refusal.site, int(refusal.rows.sum())) for refusal in RowQuota(times=2).screen(banks)]
        [('c', 66)]
    """

    def __init__(self, *, times: float = 3.0, most: int | None = None, seed: int = 0) -> None:
        self.times = check_number("times", times, least=1.0)
        if most is not None and (isinstance(most, bool) or not isinstance(most, int) or most < 1):
            msg = f"The screening's most is {most!r}; give a whole number of rows of at least 1."
            raise ValueError(msg)
        self.most = most
        self.seed = seed

    def screen(self, banks: Sequence[MemoryBank]) -> list[Refusal]:
        """Refuse what exceeds the quota; see the class."""
        middle = statistics.median_high(map(len, banks))
        quota = self.most or max(1, int(self.times * middle))
        loud = [bank for bank in banks if len(bank) > quota]
        limit = f"at most {quota}" if self.most else f"at most {self.times:g} times the {middle} of the middle site"
        reason = "it sent {} rows, {} are kept of a site; which of them was drawn by lot"
        digests = {bank.sites[0]: _digest(bank) for bank in banks} if loud else {}
        return [
            Refusal(
                site=bank.sites[0],
                rows=_lost(len(bank), quota, self._lot(digests[bank.sites[0]], digests.values())),
                reason=reason.format(len(bank), limit),
            )
            for bank in loud
        ]

    def _lot(self, own: bytes, everybody: Iterable[bytes]) -> int:
        """A seed that nobody knows who does not know all rows."""
        everything = b"".join([str(self.seed).encode(), own, *sorted(everybody)])
        return int.from_bytes(hashlib.sha256(everything).digest()[:8], "big", signed=True)


def _lost(n: int, quota: int, seed: int) -> Tensor:
    """A mask of ``n - quota`` rows, drawn by a seed."""
    rows = torch.zeros(n, dtype=torch.bool)
    rows[torch.randperm(n, generator=torch.Generator().manual_seed(seed))[quota:]] = True
    return rows


def _digest(bank: MemoryBank) -> bytes:
    """sha256 of a bank's rows."""
    digest = hashlib.sha256()
    for _, block in TensorRows(bank.features).blocks():
        digest.update(block.contiguous().numpy().tobytes())
    return digest.digest()
