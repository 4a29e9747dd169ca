"""Asking each node for its site's bank, and taking it in, step by step."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial

import httpx
from flwr.app import Message, MessageType, RecordDict
from flwr.serverapp import Grid

from anomalib_federated import messages
from anomalib_federated.bank import BankError
from anomalib_federated.federation.asked_node import AskedNode
from anomalib_federated.federation.collection_plan import CollectionPlan
from anomalib_federated.federation.folder import FederationFolder, FolderError
from anomalib_federated.federation.folder.events import Note
from anomalib_federated.federation.site_claims import ClaimError, SiteClaims
from anomalib_federated.messages import MessageError
from anomalib_federated.messages.replies import SiteBank, failure_of, take_site_bank

logger = logging.getLogger(__name__)

UNREACHABLE = (httpx.HTTPError, OSError)
"""What a grid raises that did not reach the SuperLink; the same call may work the next time."""

LEAST_TTL = 1.0
"""Seconds that a message is valid at least; Flower takes none of 0, and the clock may just have passed the deadline."""

NOT_STORED = "Its bank came, but could not be stored: {}"


class Gathering:
    """What one collection knows of nodes and sites.

    Its steps may be done in several threads, and block: of each node one call is under way at most, and of the list of
    nodes too. The folder is used by one thread at a time.

    Args:
        grid: Reaches the nodes.
        folder: Takes the banks.
        plan: Who is let in, and how often who is asked.
        clock: Tells the time in seconds.
        deadline: Time of the clock after which nobody is asked.

    Attributes:
        received: Per site and category, the bytes of bank that came.
        asked: Per site that sent a bank, how often its node was asked.
    """

    def __init__(
        self,
        grid: Grid,
        folder: FederationFolder,
        plan: CollectionPlan,
        *,
        clock: Callable[[], float],
        deadline: float,
    ) -> None:
        self.grid, self.folder, self.plan = grid, folder, plan
        self.clock, self.deadline = clock, deadline
        self.received: dict[str, dict[str, int]] = {}
        self.asked: dict[str, int] = {}
        self._claims = SiteClaims(plan.sites, renew=plan.renew)
        self._nodes: dict[int, AskedNode] = {}
        self._lock = threading.Lock()  # held while anything here or the folder changes, never during a call to the grid
        self._looking = False
        self._closed = False
        statuses = folder.statuses()
        self._claims.update(statuses)
        for site in plan.sites:
            if site not in statuses:
                self._note("expected", site=site)

    @property
    def sites(self) -> tuple[str, ...]:
        """Names of the sites whose bank is in, sorted."""
        with self._lock:
            return self._claims.sites

    @property
    def complete(self) -> bool:
        """Whether nobody is left to wait for."""
        with self._lock:
            return bool(self.plan.sites) and set(self.plan.sites) <= set(self._claims.sites) and not self._claims.due

    def steps(self) -> Iterator[Callable[[], None]]:
        """All that can be done now: see who is online, ask who is to be asked, take in who has answered."""
        yield self._look
        with self._lock:
            nodes = sorted(self._nodes.values(), key=lambda node: node.id)
        for node in nodes:
            yield partial(self._serve, node)

    def close(self) -> None:
        """Take nothing in any more; waits for a bank that is being taken in."""
        with self._lock:
            self._closed = True

    def note_missing(self) -> dict[str, str]:
        """Note the expected sites that are not in, and why."""
        with self._lock:
            missing = self._reasons(sorted(set(self.plan.sites) - set(self._claims.sites)))
            statuses = self.folder.statuses()
            for site, why in missing.items():
                logger.warning("%s is missing: %s", site, why)
                if site not in statuses or statuses[site].state in {"expected", "asked", "left"}:  # else it says more
                    self._note("missing", site=site, reason=why)
            return missing

    def note_kept(self) -> dict[str, str]:
        """Note the sites of which a new bank was wanted and has not come, and why; what is in stays in force."""
        with self._lock:
            kept = self._reasons(self._claims.due)
            for site, why in kept.items():
                logger.warning("%s keeps the bank that it sent before: %s", site, why)
                self._note("missing", site=site, reason=why)
            return kept

    def _reasons(self, sites: Iterable[str]) -> dict[str, str]:
        said = {node.site: node.reason for node in self._nodes.values()}
        return {site: said.get(site, "No node that was online spoke for it.") for site in sites}

    def strangers(self) -> dict[int, str]:
        """Per node that stands for no site that is known, why there is no bank of it."""
        with self._lock:
            return {node.id: node.reason for node in self._nodes.values() if not node.site}

    # --- who is online ----------------------------------------------------------------------------------------------

    def _look(self) -> None:
        with self._lock:
            if self._looking or self._closed:
                return
            self._looking = True
        try:
            online = {node.node_id: node.name for node in self.grid.get_nodes()}
        except UNREACHABLE as error:
            logger.warning("Who is online cannot be seen now: %s", error)
            return
        finally:
            with self._lock:
                self._looking = False
        with self._lock:
            if not self._closed:
                self._meet(online)

    def _meet(self, online: dict[int, str]) -> None:
        self._claims.update(self.folder.statuses())  # somebody may have added or removed a bank meanwhile
        for node in self._nodes.values():
            if node.online and node.id not in online:
                node.online = False
                if not self._is_settled(node):
                    self._note("left", node=node)
        for node_id, name in sorted(online.items()):
            node = self._nodes.setdefault(node_id, AskedNode(id=node_id, name=name))
            if not node.online:
                self._welcome(node)

    def _welcome(self, node: AskedNode) -> None:
        """A node that comes (back) online has all its attempts: it may have been mended."""
        node.online, node.asked = True, 0
        node.site = node.site or self._claims.site_of(node.id)
        if node.name:
            try:
                self._claims.check_registered(node.name)
            except ClaimError as error:
                self._put_off("refused", node, str(error), again=False)
            else:
                node.site = node.name

    def _is_settled(self, node: AskedNode) -> bool:
        return self._claims.settled(node=node.id, name=node.name)

    # --- one node ---------------------------------------------------------------------------------------------------

    def _serve(self, node: AskedNode) -> None:
        """Take in the node's answer if it has been asked, else ask it if it is its time."""
        with self._lock:
            due = node.online and node.asked < self.plan.attempts and node.due <= self.clock() < self.deadline
            if self._closed or node.busy or not (node.message or (due and not self._is_settled(node))):
                return
            node.busy = True
        try:
            if node.message:
                self._fetch(node)
            else:
                self._ask(node)
        finally:
            with self._lock:
                node.busy = False

    def _ask(self, node: AskedNode) -> None:
        began = self.clock()
        content = RecordDict({messages.CONFIG: self.folder.agreement.to_record()})
        question = Message(content, node.id, MessageType.TRAIN, ttl=max(self.deadline - began, LEAST_TTL))
        try:
            ids = list(self.grid.push_messages([question]))
        except UNREACHABLE as error:
            logger.warning("Node %d cannot be asked now: %s", node.id, error)
            return
        with self._lock:
            node.asked, node.began, node.message = node.asked + 1, began, next(filter(None, ids), "")
            if self._closed:
                return
            self._note("asked", node=node)
            if not node.message:
                self._put_off("failed", node, "The message to it could not be delivered.")

    def _fetch(self, node: AskedNode) -> None:
        try:
            reply = next(iter(self.grid.pull_messages([node.message])), None)
        except UNREACHABLE as error:
            logger.warning("The answer of node %d cannot be fetched now: %s", node.id, error)
            return
        except Exception as error:
            logger.debug("The answer of node %d cannot be taken apart.", node.id, exc_info=True)
            with self._lock:
                node.message = ""
                self._put_off("failed", node, f"Its answer cannot be taken apart: {ascii(str(error))[1:-1]}")
            return
        if reply is None:
            return
        with self._lock:
            node.message = ""
            if self._closed:
                return
            sent = self._read(node, reply)
            del reply  # its bytes may be many, and are not needed any more
            if sent is not None:
                self._store(node, sent)

    def _read(self, node: AskedNode, reply: Message) -> SiteBank | None:
        """The bank in a reply; who sent it is known by the message, since its own words are the node's."""
        if failure := failure_of(reply, node=node.id):
            self._put_off("failed", node, failure)
            return None
        try:
            site = messages.site_name(reply)
            self._claims.check(site, node=node.id, name=node.name)
            node.site = site
            return take_site_bank(reply, self.folder.agreement, self.folder.path)
        except ClaimError as error:
            self._put_off("refused", node, str(error), again=False)
        except (MessageError, BankError) as error:
            self._put_off("refused", node, str(error))
        except OSError as error:
            self._put_off("failed", node, NOT_STORED.format(error))
        except Exception as error:
            logger.debug("The answer of node %d cannot be read.", node.id, exc_info=True)
            self._put_off("refused", node, f"Its answer cannot be read: {ascii(str(error))[1:-1]}")
        return None

    def _store(self, node: AskedNode, sent: SiteBank) -> None:
        size = sum(sent.bytes.values())
        try:
            self.folder.accept(sent.bank, site=sent.site, via="flower", node=node.id, sent=size)
        except OSError as error:
            self._put_off("failed", node, NOT_STORED.format(error))
            return
        except (BankError, FolderError) as error:  # it does not fit the sites that are in, or its own was removed
            self._put_off("refused", node, str(error), again=False)
            return
        self._claims.grant(sent.site, node=node.id, name=node.name)
        self._claims.update(self.folder.statuses())
        self.received[sent.site], self.asked[sent.site] = sent.bytes, node.asked
        seconds = self.clock() - node.began
        logger.info("%s is in: %d rows, %d bytes, %.1f s after it was asked.", sent.site, len(sent.bank), size, seconds)
        if self.clock() > self.deadline:
            self._note("late", node=node, reason="It came after the deadline.")

    # --- what happened ----------------------------------------------------------------------------------------------

    def _put_off(self, event: Note, node: AskedNode, why: str, *, again: bool = True) -> None:
        """Ask the node again later, or, if it would not help, not before it has been away."""
        if self._closed:
            return
        node.why = why[:1000]
        node.due = self.clock() + self.plan.backoff * 2 ** max(node.asked - 1, 0)
        node.asked = node.asked if again else self.plan.attempts
        left = self.plan.attempts - node.asked
        logger.warning("Node %d: %s It is asked %s.", node.id, node.why, "again" if left > 0 else "no more")
        self._note(event, node=node, reason=node.why)

    def _note(self, event: Note, *, node: AskedNode | None = None, site: str = "", reason: str = "") -> None:
        try:
            self.folder.note(
                event, site=(node.site if node else site) or None, node=node.id if node else None, reason=reason
            )
        except OSError as error:  # not worth ending the collection for: the folder still says which banks it has
            logger.warning("That %s was '%s' could not be written down: %s", site or "a node", event, error)
