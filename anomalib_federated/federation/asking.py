"""One question to some sites, of which any may be offline, fail or answer nonsense: it is left out, and named."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from flwr.app import ConfigRecord, Message, RecordDict
from flwr.serverapp import Grid

from anomalib_federated import messages
from anomalib_federated.bank import MemoryBank
from anomalib_federated.federation.gathering import UNREACHABLE
from anomalib_federated.messages import MessageError, traffic
from anomalib_federated.messages.replies import failure_of
from anomalib_federated.messages.traffic import TrafficBySite
from anomalib_federated.untrusted import said

logger = logging.getLogger(__name__)

POLL = 3.0
"""Seconds between two looks at who has answered."""

AnswerT = TypeVar("AnswerT")


@dataclass(frozen=True, kw_only=True)
class Answers(Generic[AnswerT]):
    """What came back.

    Attributes:
        of: Per site, its answer, sorted by name.
        left_out: Per other site, why there is none, sorted by name.
        traffic: Bytes of the question and its answers.
    """

    of: dict[str, AnswerT]
    left_out: dict[str, str]
    traffic: TrafficBySite


def ask_about(
    bank: MemoryBank,
    grid: Grid,
    nodes: Mapping[str, int],
    *,
    kind: str,
    read: Callable[[Message, Collection[str]], AnswerT],
    config: ConfigRecord | None = None,
    timeout: float = 3600,
) -> Answers[AnswerT]:
    """Send each site those categories of a global bank that it contributed to, and read what it says of them.

    Args:
        bank: The global bank.
        grid: Reaches the sites.
        nodes: Node id of each site that has one; a node may speak for its site alone.
        kind: Type of the message.
        read: Reads and checks a reply, given the categories that were sent.
        config: Goes with the bank.
        timeout: Seconds to wait for all answers.

    Raises:
        OSError: If the grid cannot be reached to ask; grids raise errors of their own too. Once all are asked, it may
            be out of reach for a while.
    """
    online = set(grid.get_node_ids())
    questions: dict[str, Message] = {}
    categories: dict[str, tuple[str, ...]] = {}
    records: dict[tuple[str, ...], dict[str, ConfigRecord]] = {}
    left_out: dict[str, str] = {}
    for site in sorted(bank.sites):
        if site not in nodes:
            left_out[site] = "no node of it is known"
        elif nodes[site] not in online:
            left_out[site] = f"its node {nodes[site]} is not online"
        else:
            own = categories[site] = tuple(sorted(item.category for item in bank.contributions if item.site == site))
            records[own] = records.get(own) or messages.bank_records(bank, own)
            content = RecordDict({**records[own], messages.CONFIG: config or ConfigRecord()})
            questions[site] = Message(content, dst_node_id=nodes[site], message_type=kind, ttl=timeout)
    answers: dict[str, AnswerT] = {}
    total: TrafficBySite = {}
    for site, reply in _replies(grid, questions, timeout=timeout).items():
        if isinstance(reply, str):
            left_out[site] = reply
        elif failure := failure_of(reply, node=nodes[site]):
            left_out[site] = failure
        else:
            try:
                _check_speaker(reply, site)
                answers[site] = read(reply, categories[site])
            except MessageError as error:
                left_out[site] = str(error)
                continue
            traffic.add(total, site, traffic.of_exchange(questions[site].content, reply.content, categories[site]))
    return Answers(of=answers, left_out=dict(sorted(left_out.items())), traffic=total)


def _replies(grid: Grid, questions: Mapping[str, Message], *, timeout: float) -> dict[str, Message | str]:
    """Ask all at once, then fetch one by one: per site its reply, or why there is none."""
    until = time.monotonic() + timeout
    ids = list(grid.push_messages(list(questions.values()))) if questions else []
    waiting = {site: number for site, number in zip(questions, ids, strict=False) if number}
    found: dict[str, Message | str] = dict.fromkeys(questions, "the message to it could not be delivered")
    for site in waiting:
        found[site] = f"its node {questions[site].metadata.dst_node_id} did not answer within {timeout:g} s"
    while waiting:
        for site in list(waiting):
            if (reply := _fetch(grid, waiting[site], site)) is not None:
                found[site] = reply
                del waiting[site]
        if (left := until - time.monotonic()) <= 0:
            break
        if waiting:
            time.sleep(min(POLL, left))
    return found


def _fetch(grid: Grid, number: str, site: str) -> Message | str | None:
    """A reply, or why there will be none; ``None`` if it has not come yet."""
    try:
        return next(iter(grid.pull_messages([number])), None)
    except UNREACHABLE as error:
        logger.warning("The answer of site %s cannot be fetched now: %s", site, error)
        return None
    except Exception as error:  # what a node sent may be anything
        logger.debug("The answer of site %s cannot be taken apart.", site, exc_info=True)
        return f"its answer cannot be taken apart: {said(str(error))}"


def _check_speaker(reply: Message, site: str) -> None:
    if (said := messages.site_name(reply)) != site:
        msg = f"Node {reply.metadata.src_node_id} answers as site '{said}', not as '{site}'."
        raise MessageError(msg)
