"""Where each site stands, out of what happened."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

from anomalib_federated.federation.folder.events import NOTES, Event, StoredBank


@dataclass(frozen=True, kw_only=True)
class SiteStatus:
    """Where a site stands.

    Attributes:
        state: ``in`` while its bank is in the folder, whatever came later; ``removed`` from its removal until it is in
            again; else the last event: ``expected``, ``asked``, ``failed``, ``refused``, ``late``, ``missing`` or
            ``left``.
        since: When that began; of a site that is in, when its bank came last.
        attempts: How often it was asked for its bank, since the folder was made.
        node: Id of the Flower node that sent the bank, or was asked last.
        via: How the bank came: over ``flower`` or as a ``file``.
        sent: Bytes of bank that travelled; 0 for a file.
        bank: What the bank holds; ``None`` while there is none.
        reason: Why, in the words of whoever said so: not trusted. If the state is older than the event, the event's
            name stands before it.
    """

    state: str
    since: datetime
    attempts: int = 0
    node: int | None = None
    via: str | None = None
    sent: int = 0
    bank: StoredBank | None = None
    reason: str = ""

    def after(self, event: Event) -> SiteStatus:
        """The status after a further event.

        Example:
            >>> now = datetime(2026, 5, 4)
            >>> status = SiteStatus(state="expected", since=now).after(Event(event="asked", time=now, site="plant-a"))
            >>> status.after(Event(event="failed", time=now, site="plant-a", reason="no light")).attempts
            1
        """
        if event.event == "in":
            return replace(
                self, state="in", since=event.time, node=event.node, via=event.via, sent=event.sent, bank=event.bank,
                reason="",
            )  # fmt: skip
        if event.event == "removed":
            return SiteStatus(state="removed", since=event.time, attempts=self.attempts)
        attempts = self.attempts + (event.event == "asked")
        if self.state in {"in", "removed"}:
            # The node is that of the bank. Being asked again is no news until it fails.
            told = self.reason if event.event in {"asked", "expected"} else f"{event.event}: {event.reason}"
            return replace(self, attempts=attempts, reason=told)
        reason = event.reason or (self.reason if event.event == "asked" else "")
        node = self.node if event.node is None else event.node
        return replace(self, state=event.event, since=event.time, attempts=attempts, node=node, reason=reason)


@dataclass(kw_only=True)
class Ledger:
    """Where all stand, by replaying the journal.

    Attributes:
        sites: Per site, its status.
        unnamed: The same per node that did not name its site yet.
        unfinished: Per site, the ``arriving`` or ``removing`` of which the end is not known.
        last_version: The highest version number given out.
    """

    sites: dict[str, SiteStatus] = field(default_factory=dict)
    unnamed: dict[int, SiteStatus] = field(default_factory=dict)
    unfinished: dict[str, Event] = field(default_factory=dict)
    last_version: int = 0
    _site_of: dict[int, str] = field(default_factory=dict)

    def copy(self) -> Ledger:
        """One that does not change when this one does."""
        return replace(
            self, sites=dict(self.sites), unnamed=dict(self.unnamed), unfinished=dict(self.unfinished),
            _site_of=dict(self._site_of),
        )  # fmt: skip

    def replay(self, events: Iterable[Event]) -> None:
        """Take in what happened next."""
        for event in events:
            if event.version is not None:
                self.last_version = max(self.last_version, event.version)
            if event.event in {"arriving", "removing"} and event.site is not None:
                self.unfinished[event.site] = event
            elif event.event in {"in", "dropped", "removed"} and event.site is not None:
                self.unfinished.pop(event.site, None)
            if event.event in {*NOTES, "in", "removed"}:
                self._note(event)

    def _note(self, event: Event) -> None:
        if event.event == "in" and event.site is not None and event.node is not None:
            self._join(event.node, event.site, event)
        site = self._site_of.get(event.node) if event.site is None and event.node is not None else event.site
        if site is not None:
            self.sites[site] = _after(self.sites.get(site), event)
        elif event.node is not None:
            self.unnamed[event.node] = _after(self.unnamed.get(event.node), event)

    def _join(self, node: int, site: str, event: Event) -> None:
        """From now on, what happens to the node happens to the site; so does what happened to it before."""
        self._site_of[node] = site
        if earlier := self.unnamed.pop(node, None):
            status = self.sites.get(site, SiteStatus(state="expected", since=event.time))
            self.sites[site] = replace(status, attempts=status.attempts + earlier.attempts)


def _after(status: SiteStatus | None, event: Event) -> SiteStatus:
    """The first event makes a status; that a site is expected tells nothing of one that is known already."""
    if status is None:
        return SiteStatus(state="expected", since=event.time).after(event)
    return status if event.event == "expected" else status.after(event)
