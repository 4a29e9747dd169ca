"""Strategies: how site banks become the global bank.

A strategy is a Flower ``Strategy`` (Message API), so it runs under SuperLink and SuperNodes as well as in process. Its
author writes one pure function, :meth:`BankStrategy.aggregate`; everything about messages is here.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Iterable, Sequence

import torch
from flwr.app import ArrayRecord, ConfigRecord, Message, MessageType, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy
from torch import Tensor

from anomalib_federated import messages
from anomalib_federated.agreement import Agreement
from anomalib_federated.bank import BankError, MemoryBank

logger = logging.getLogger(__name__)


class FederationError(RuntimeError):
    """A federation cannot go on; the message says which site is at fault and why."""


class BankStrategy(Strategy):
    """Base class of strategies.

    Args:
        seed: Decides every random choice of the aggregation.

    Attributes:
        bytes_received: Per site and category, the bytes of bank that arrived in the last round.
        banks_received: Per site, the bank that arrived in the last round: kept so that they can be merged again, with
            other settings or without a site.
        rounds: Exchanges of rows that a federation takes.
        weights_measured: Per category, how many patches of all sites have each row of the global bank as their nearest.
    """

    rounds = 1

    def __init__(self, *, seed: int = 0) -> None:
        self.seed = seed
        self.bytes_received: dict[str, dict[str, int]] = {}
        self.banks_received: dict[str, MemoryBank] = {}
        self.weights_measured: dict[str, Tensor] = {}
        self._asked: list[int] = []
        self._agreement: Agreement | None = None

    @abstractmethod
    def aggregate(self, banks: Sequence[MemoryBank]) -> MemoryBank:
        """Make the global bank.

        Args:
            banks: One bank per site, in the order of the sites' names, all of one feature space; not changed.

        Returns:
            A bank of the same feature space, with rows of every category that a site sent, whose weights add up to
            the patches that those rows stood for.
        """

    def merge(self, banks: Iterable[MemoryBank]) -> MemoryBank:
        """Aggregate banks that came in any order.

        Raises:
            BankError: If there is none, a bank is not of exactly one site, a site appears twice, or feature spaces
                differ.
        """
        ordered = sorted(banks, key=lambda bank: bank.sites)
        names = [name for bank in ordered for name in bank.sites]
        if not ordered or any(len(bank.sites) != 1 for bank in ordered) or len(set(names)) != len(names):
            msg = f"A strategy needs one bank of each site, got banks of {names}."
            raise BankError(msg)
        for bank in ordered[1:]:
            ordered[0].check_same_space(bank)
        return self.aggregate(ordered)

    def summary(self) -> None:
        """Log the strategy's name and settings."""
        hidden = ("_", "bytes_", "banks_", "weights_")
        settings = {name: value for name, value in vars(self).items() if not name.startswith(hidden)}
        logger.info("Strategy %s with %s", type(self).__name__, settings)

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Ask every node for its bank.

        Raises:
            FederationError: If no node is connected.
            MessageError: If ``config`` holds no agreement.
        """
        del server_round
        self.agree(config)
        return self._to_all_nodes(MessageType.TRAIN, arrays, config, grid)

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Validate the banks that came and aggregate them.

        Raises:
            FederationError: If a node failed or did not answer, or a site sent rows of others.
            BankError: If a bank is not valid, or not what was agreed.
            MessageError: If a message lacks a record.
        """
        del server_round
        banks = self.receive(replies)
        merged = self.merge(banks)
        total = sum(sum(categories.values()) for categories in self.bytes_received.values())
        logger.info("%d sites sent %d rows in %d bytes; the global bank has %d rows.",
                    len(banks), sum(map(len, banks)), total, len(merged))  # fmt: skip
        return messages.bank_to_arrays(merged), MetricRecord({"bytes": total, "rows": len(merged)})

    def agree(self, config: ConfigRecord) -> None:
        """Note what the sites are asked for, so that :meth:`receive` can hold them to it.

        Raises:
            MessageError: If ``config`` holds no agreement.
        """
        self._agreement = Agreement.from_record(config, source="the server")

    def receive(self, replies: Iterable[Message]) -> list[MemoryBank]:
        """Validate the banks that came.

        Args:
            replies: One from every node that was asked; not trusted.

        Returns:
            One bank per site, in the order of the sites' names.

        Raises:
            FederationError: If nothing was agreed yet, a node failed or did not answer, or a site sent rows of others.
            BankError: If a bank is not valid, or not what was agreed.
            MessageError: If a message lacks a record.
        """
        if self._agreement is None:
            msg = "Nothing was agreed with the sites yet; call configure_train first."
            raise FederationError(msg)
        banks, self.banks_received, self.bytes_received = [], {}, {}
        for site, reply in self._by_site(replies):
            arrays = messages.record(reply, messages.BANK, ArrayRecord)
            bank = messages.bank_from_arrays(arrays, source=f"site '{site}'", max_bytes=self._agreement.max_bytes)
            if bank.sites != (site,):
                msg = f"Site '{site}' sent rows that it says are of {', '.join(bank.sites)}."
                raise FederationError(msg)
            self._agreement.check(bank)
            banks.append(bank)
            self.banks_received[site] = bank
            self.bytes_received[site] = messages.bytes_by_category(arrays)
        return banks

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Send the global bank to every node, to measure how well it covers the node's patches."""
        del server_round
        return self._to_all_nodes(MessageType.EVALUATE, arrays, config, grid)

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> MetricRecord | None:
        """The covering radius per category over all sites: the largest that any site measured.

        Raises:
            FederationError: If a node failed or did not answer, or a site did not measure exactly what it sent rows of.
            MessageError: If a message lacks a record.
        """
        del server_round
        radius: dict[str, float] = {}
        self.weights_measured = {}
        named = self._by_site(replies)
        if [site for site, _ in named] != sorted(self.bytes_received):
            msg = f"Other sites measured the bank ({', '.join(site for site, _ in named)}) than made it."
            raise FederationError(msg)
        for site, reply in named:
            measured = messages.record(reply, messages.RADIUS, MetricRecord)
            for category, value in measured.items():
                known = category in self.bytes_received[site]
                if not known or not isinstance(value, float) or not 0 <= value < float("inf"):
                    msg = f"Site '{site}' reports {value!r} as covering radius of '{category}'."
                    raise FederationError(msg)
                radius[category] = max(value, radius.get(category, 0.0))
                self._count(site, category, messages.record(reply, messages.WEIGHTS, MetricRecord).get(category))
            if missing := sorted(set(self.bytes_received[site]) - set(measured)):
                msg = f"Site '{site}' sent rows of {', '.join(missing)}, but reports no covering radius of them."
                raise FederationError(msg)
        return MetricRecord(dict(radius))

    def _count(self, site: str, category: str, counts: object) -> None:
        """Add up how many of a site's patches each row of the global bank stands for."""
        if not isinstance(counts, list) or not all(isinstance(each, int) and each >= 0 for each in counts):
            msg = f"Site '{site}' does not say how many patches each row of '{category}' stands for."
            raise FederationError(msg)
        before = self.weights_measured.get(category)
        if before is not None and len(before) != len(counts):
            msg = f"Site '{site}' counts patches of {len(counts)} rows of '{category}', others of {len(before)}."
            raise FederationError(msg)
        added = torch.tensor(counts, dtype=torch.float64)
        self.weights_measured[category] = added if before is None else before + added

    def _to_all_nodes(self, kind: str, arrays: ArrayRecord, config: ConfigRecord, grid: Grid) -> list[Message]:
        self._asked = sorted(grid.get_node_ids())
        if not self._asked:
            msg = "No site is connected, so there is nothing to aggregate."
            raise FederationError(msg)
        content = RecordDict({messages.BANK: arrays, messages.CONFIG: config})
        return [Message(content=content, dst_node_id=node_id, message_type=kind) for node_id in self._asked]

    def _to_nobody(self) -> list[Message]:
        """No message in this exchange."""
        self._asked = []
        return []

    def _by_site(self, replies: Iterable[Message]) -> list[tuple[str, Message]]:
        """Replies with their site's name, in the order of names: arrival order must not matter."""
        replies, named = list(replies), []
        if silent := sorted(set(self._asked) - {reply.metadata.src_node_id for reply in replies}):
            msg = f"{len(silent)} of {len(self._asked)} nodes did not answer in time: {', '.join(map(str, silent))}."
            raise FederationError(msg)
        for reply in replies:
            if reply.has_error():
                # A node's words may hold escape codes.
                reason = ascii((reply.error.reason or "it does not say why")[:500])[1:-1]
                msg = f"Node {reply.metadata.src_node_id} failed: {reason}"
                raise FederationError(msg)
            named.append((messages.site_name(reply), reply))
        return sorted(named, key=lambda pair: pair[0])
