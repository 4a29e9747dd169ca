"""One question to some sites, of which any may be offline, fail or answer nonsense: it is left out, and named."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from flwr.app import ConfigRecord, Message, RecordDict
from flwr.serverapp import Grid

from anomalib_federated import messages
from anomalib_federated.bank import MemoryBank
from anomalib_federated.messages import MessageError, traffic
from anomalib_federated.messages.replies import failure_of
from anomalib_federated.messages.traffic import TrafficBySite

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
        OSError: If the grid cannot be reached; grids raise errors of their own too.
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
    replies = list(grid.send_and_receive(list(questions.values()), timeout=timeout)) if questions else []
    by_node = {reply.metadata.src_node_id: reply for reply in replies}
    answers: dict[str, AnswerT] = {}
    total: TrafficBySite = {}
    for site, question in questions.items():
        reply = by_node.get(nodes[site])
        if reply is None:
            left_out[site] = f"its node {nodes[site]} did not answer within {timeout:g} s"
        elif failure := failure_of(reply):
            left_out[site] = failure
        else:
            try:
                _check_speaker(reply, site)
                answers[site] = read(reply, categories[site])
            except MessageError as error:
                left_out[site] = str(error)
                continue
            traffic.add(total, site, traffic.of_exchange(question.content, reply.content, categories[site]))
    return Answers(of=answers, left_out=dict(sorted(left_out.items())), traffic=total)


def _check_speaker(reply: Message, site: str) -> None:
    if (said := messages.site_name(reply)) != site:
        msg = f"Node {reply.metadata.src_node_id} answers as site '{said}', not as '{site}'."
        raise MessageError(msg)
