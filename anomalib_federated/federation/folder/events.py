"""What can happen in a federation: one event is one line of JSON in the folder's journal.

========== ============================================================================================
created    the folder was made; ``format`` says how it is written
expected   a site is waited for
asked      a site or node was asked for its bank
failed     it said that it cannot give one, or was cut off
refused    what it sent was not accepted
late       its answer came after the deadline
missing    it had not come by the deadline
left       it went offline before it answered
arriving   a bank is being written into the folder; ``in`` or ``dropped`` says how that ended
in         a bank is in the folder
dropped    the writing was interrupted, so what was there before stays
removing   a site is being removed; ``removed`` follows
removed    its bank is deleted
aggregating the number of a version was given out, never to be used again
========== ============================================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from pydantic import AwareDatetime, ConfigDict, Field, TypeAdapter, with_config

from anomalib_federated.bank.validation import check_name

FORMAT = 1
"""How folders are written; another number means another program."""
Note = Literal["expected", "asked", "failed", "refused", "late", "missing", "left"]
Step = Literal["created", "arriving", "in", "dropped", "removing", "removed", "aggregating"]
NOTES: tuple[str, ...] = get_args(Note)
"""Events that leave banks as they are."""
WITH_BANK = ("arriving", "in")
Count = Annotated[int, Field(ge=0)]


@with_config(ConfigDict(extra="forbid", strict=True))
@dataclass(frozen=True, kw_only=True)
class StoredBank:
    """What a site's bank in the folder holds.

    Attributes:
        digest: :attr:`anomalib_federated.bank.MemoryBank.digest`.
        rows: Its rows.
        bytes: Size of its file.
        images: Training images that the site saw, over all categories.
    """

    digest: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    rows: Count
    bytes: Count
    images: Count


@with_config(ConfigDict(extra="forbid", strict=True))
@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened, see the module.

    Attributes:
        event: What.
        time: When, by the clock of the centre; nothing depends on it.
        site: To which site.
        node: Id of the Flower node.
        via: How the bank came: over ``flower`` or as a ``file``.
        sent: Bytes of bank that travelled; 0 for a file.
        bank: The bank, if one arrives or is in.
        version: Number of the version that is being aggregated.
        format: How the folder is written, when it is created.
        reason: Why, in the words of whoever said so: not trusted.

    Raises:
        ValueError: If a field is impossible, or the event lacks one.
    """

    event: Note | Step
    time: AwareDatetime
    site: str | None = None
    node: int | None = None
    via: Literal["flower", "file"] | None = None
    sent: Count = 0
    bank: StoredBank | None = None
    version: Annotated[int, Field(ge=1)] | None = None
    format: int | None = None
    reason: str = ""

    def __post_init__(self) -> None:
        if self.site is not None:
            check_name("site", self.site)
        lacking = {
            "a site or a node": self.event in NOTES and self.site is None and self.node is None,
            "a site": self.event in {*WITH_BANK, "dropped", "removing", "removed"} and self.site is None,
            "a bank and how it came": self.event in WITH_BANK and None in {self.bank, self.via},
            "a version": self.event == "aggregating" and self.version is None,
        }
        for what, is_lacking in lacking.items():
            if is_lacking:
                msg = f"the event '{self.event}' names not {what}"
                raise ValueError(msg)


_EVENT = TypeAdapter(Event)


def to_line(event: Event) -> bytes:
    r"""One line of JSON, with its end.

    Example:
        >>> from datetime import datetime, timezone
        >>> event = Event(event="failed", time=datetime(2026, 5, 4, tzinfo=timezone.utc), node=3, reason="no light")
        >>> to_line(event)
        b'{"event":"failed","time":"2026-05-04T00:00:00Z","node":3,"reason":"no light"}\n'
        >>> from_line(to_line(event)) == event
        True
    """
    return _EVENT.dump_json(event, exclude_defaults=True) + b"\n"


def from_line(line: bytes) -> Event:
    """Read and check a line.

    Raises:
        ValidationError: If it is no event; a ``ValueError``.
    """
    return _EVENT.validate_json(line)
