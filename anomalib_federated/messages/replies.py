"""What one reply of a site says, checked on arrival.

A reply comes from outside: nothing in it is believed before its type, size and range were looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from flwr.app import Message, MetricRecord

from anomalib_federated import messages
from anomalib_federated.bank import MemoryBank
from anomalib_federated.messages import MessageError
from anomalib_federated.messages.agreement import Agreement
from anomalib_federated.messages.measured import SiteCovering

MOST_PATCHES = 1 << 40
"""More than any site has; counts below this add up in 64 bits."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SiteBank:
    """The bank that a site sent.

    Attributes:
        site: Name of the site.
        bank: Its bank, as agreed.
        bytes: Per category, the bytes of bank that came.
    """

    site: str
    bank: MemoryBank
    bytes: dict[str, int]


def failure_of(reply: Message, *, node: int) -> str:
    """Why a node did not answer, in one printable sentence; empty if it did.

    Args:
        reply: What came. The SuperLink answers for a node that went offline, so the sender says nothing of the node.
        node: Id of the node that was asked.
    """
    if not reply.has_error():
        return ""
    # A node's words may hold escape codes.
    reason = ascii((reply.error.reason or "it does not say why")[:500])[1:-1]
    return f"Node {node} failed: {reason}"


def site_bank(reply: Message, agreement: Agreement) -> SiteBank:
    """The bank in a reply.

    Raises:
        MessageError: If the message names no site, has no bank, or holds rows of another site.
        BankError: If the bank is not valid, or not what was agreed; the error names the site.
    """
    site = messages.site_name(reply)
    bank = messages.bank_in(
        reply.content, source=f"site '{site}'", max_bytes=agreement.max_bytes, max_rows=agreement.max_rows
    )
    return SiteBank(site=site, bank=_as_agreed(bank, site, agreement), bytes=messages.bytes_by_category(reply.content))


def take_site_bank(reply: Message, agreement: Agreement, folder: Path) -> SiteBank:
    """The same, but its rows leave the reply for a disk, see :func:`anomalib_federated.messages.take_bank`.

    Raises:
        MessageError: As :func:`site_bank` does.
        BankError: As :func:`site_bank` does.
        OSError: If the disk does not take them.
    """
    site, sizes = messages.site_name(reply), messages.bytes_by_category(reply.content)
    bank = messages.take_bank(
        reply.content, folder, source=f"site '{site}'", max_bytes=agreement.max_bytes, max_rows=agreement.max_rows
    )
    return SiteBank(site=site, bank=_as_agreed(bank, site, agreement), bytes=sizes)


def site_covering(reply: Message, rows: Mapping[str, int]) -> dict[str, SiteCovering]:
    """How well the global bank covers a site's patches.

    Args:
        reply: The site's reply.
        rows: Rows of the global bank, per category of which the site sent any.

    Returns:
        One per category of ``rows``.

    Raises:
        MessageError: If the message names no site, or does not measure exactly these categories.
    """
    site = messages.site_name(reply)
    radius = messages.record(reply, messages.RADIUS, MetricRecord)
    patches = messages.record(reply, messages.WEIGHTS, MetricRecord)
    found: dict[str, SiteCovering] = {}
    for category, value in radius.items():
        if category not in rows or not isinstance(value, float) or not 0 <= value < float("inf"):
            msg = f"Site '{site}' reports {ascii(value)[:50]} as covering radius of {category[:50]!a}."
            raise MessageError(msg)
        counts = patches.get(category)
        if not isinstance(counts, list) or not all(isinstance(n, int) and 0 <= n < MOST_PATCHES for n in counts):
            msg = f"Site '{site}' does not say how many patches each row of '{category}' stands for."
            raise MessageError(msg)
        if len(counts) != rows[category]:
            msg = f"Site '{site}' counts patches of {len(counts)} rows of '{category}'; the bank has {rows[category]}."
            raise MessageError(msg)
        found[category] = SiteCovering(radius=value, patches=torch.tensor(counts, dtype=torch.int64))
    if missing := sorted(set(rows) - set(radius)):
        msg = f"Site '{site}' sent rows of {', '.join(missing)}, but reports no covering radius of them."
        raise MessageError(msg)
    return dict(sorted(found.items()))


def _as_agreed(bank: MemoryBank, site: str, agreement: Agreement) -> MemoryBank:
    """The bank, if it is of that site alone and what was agreed."""
    if bank.sites != (site,):
        msg = f"Site '{site}' sent rows that it says are of {', '.join(bank.sites)}."
        raise MessageError(msg)
    agreement.check(bank)
    return bank
