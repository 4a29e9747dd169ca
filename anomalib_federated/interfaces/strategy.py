"""Strategies: how site banks become the global bank.

A strategy is a Flower ``Strategy`` (Message API), so it runs under SuperLink and SuperNodes as well as in process. Its
author writes one pure function, :meth:`BankStrategy.aggregate`; everything about messages is here.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence

from flwr.app import ArrayRecord, ConfigRecord, Message, MessageType, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy

from anomalib_federated import messages, registry
from anomalib_federated.bank import BankError, MemoryBank
from anomalib_federated.interfaces.federation_error import FederationError
from anomalib_federated.interfaces.privacy import BankPrivacy
from anomalib_federated.interfaces.refused import Refused, refused_altogether
from anomalib_federated.interfaces.screening_chain import Chain, screen_banks
from anomalib_federated.messages import MessageError, traffic
from anomalib_federated.messages.agreement import Agreement
from anomalib_federated.messages.bank_arrays import arrays_of, bank_of
from anomalib_federated.messages.measured import Measured
from anomalib_federated.messages.replies import failure_of, site_bank, site_covering
from anomalib_federated.messages.traffic import TrafficBySite

logger = logging.getLogger(__name__)

__all__ = ["BankStrategy", "FederationError"]


class BankStrategy(Strategy):
    """Base class of strategies.

    Args:
        seed: Decides every random choice of the aggregation.

    Attributes:
        banks_received: Per site, the bank that arrived in the last round: kept so that they can be merged again, with
            other settings or without a site.
        keeps_site_banks: Whether they can; false if what arrives are no banks that stand for a site's patches.
        merges_banks: Whether the global bank is made of sites' banks; false if sites send something else, so that
            :meth:`aggregate` has nothing to do and refuses.
        measured: What the sites measured of the global bank; ``None`` before they did.
        minimum_share: Of an equal part of the rows that are kept of a category, what every site that sent rows of it
            surely keeps, rounded down, or all that it sent; 0 promises nothing.
        refused: What the screenings refused in the last merge.
        rounds: Exchanges of rows that a federation takes.
        traffic: Per site and category, the bytes of all rounds; see :mod:`anomalib_federated.messages.traffic`.
    """

    rounds = 1
    keeps_site_banks: bool = True
    merges_banks: bool = True
    minimum_share: float = 0.0

    def __init__(self, *, seed: int = 0) -> None:
        self.seed = seed
        self.banks_received: dict[str, MemoryBank] = {}
        self._screening: Chain = ()
        self._agreement: Agreement | None = None
        self.begin()

    def begin(self) -> None:
        """Forget the federation before; :meth:`configure_train` calls this in its first round."""
        self.refused: tuple[Refused, ...] = ()
        self.measured: Measured | None = None
        self.traffic: TrafficBySite = {}
        self._asked: dict[int, Message] = {}  # per node id
        self._registered: dict[int, str] = {}  # name per node id, of nodes that the operator named
        self._sites: dict[int, str] = {}  # per node id
        self._held: dict[str, set[str]] = {}  # categories per site
        self._rows: dict[str, int] = {}  # of the bank that is being measured, per category

    @property
    def screening(self) -> Chain:
        """Screenings with their names, in the order in which :meth:`merge` asks them; none at first.

        Raises:
            FederationError: When set, if no banks of sites are merged here that could be screened.
        """
        return self._screening

    @screening.setter
    def screening(self, chain: Chain) -> None:
        if chain and not (self.merges_banks and self.keeps_site_banks):
            msg = (
                f"The strategy {type(self).__name__} merges no whole banks of sites, so there is nothing to screen by "
                f"{', '.join(name for name, _ in chain)}; take another strategy, or leave the screening out."
            )
            raise FederationError(msg)
        self._screening = chain

    @abstractmethod
    def aggregate(self, banks: Sequence[MemoryBank]) -> MemoryBank:
        """Make the global bank.

        Args:
            banks: One bank per site, in the order of the sites' names, all of one feature space; not changed. Their
                rows may lie on disk (:meth:`MemoryBank.open`) and be more than memory holds; join them by
                :class:`anomalib_federated.bank.category_union.CategoryUnion`, which copies none.

        Returns:
            A bank of the same feature space, with rows of every category that a site sent, whose weights add up to
            the patches that those rows stood for.
        """

    def merge(self, banks: Iterable[MemoryBank]) -> MemoryBank:
        """Aggregate banks that came in any order, without the rows that the screenings refuse.

        Raises:
            BankError: If there is none, a bank is not of exactly one site, a site appears twice, or feature spaces
                differ.
            FederationError: If the screenings leave no row of a category.
            PluginError: If a screening gives no valid answer.
        """
        ordered = sorted(banks, key=lambda bank: bank.sites)
        names = [name for bank in ordered for name in bank.sites]
        if not ordered or any(len(bank.sites) != 1 for bank in ordered) or len(set(names)) != len(names):
            msg = f"A strategy needs one bank of each site, got banks of {names}."
            raise BankError(msg)
        for bank in ordered[1:]:
            ordered[0].check_same_space(bank)
        left, self.refused = screen_banks(ordered, self.screening)
        return self.aggregate(left)

    def summary(self) -> None:
        """Log the strategy's name and settings."""
        results = ("banks_received", "measured", "refused", "traffic")
        settings = {
            name: value for name, value in vars(self).items() if not name.startswith("_") and name not in results
        }
        settings["screening"] = [name for name, _ in self.screening]
        logger.info("Strategy %s with %s", type(self).__name__, settings)

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Ask every node for its bank.

        Raises:
            FederationError: If no node is connected.
            MessageError: If ``config`` holds no agreement.
        """
        del arrays  # the sites answer from their pictures alone
        if server_round == 1:
            self.begin()
        self.agree(config)
        return self._to_all_nodes(MessageType.TRAIN, RecordDict({messages.CONFIG: config}), grid)

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Validate the banks that came and aggregate them.

        Raises:
            FederationError: If a node failed or did not answer.
            BankError: If a bank is not valid, or not what was agreed.
            MessageError: If a message lacks a record, or a site sent rows of others.
        """
        del server_round
        banks = self.receive(replies)
        merged = self.merge(banks)
        total = sum(each.up for categories in self.traffic.values() for each in categories.values())
        logger.info("%d sites sent %d rows in %d bytes; the global bank has %d rows.",
                    len(banks), sum(map(len, banks)), total, len(merged))  # fmt: skip
        return arrays_of(merged), MetricRecord({"bytes": total, "rows": len(merged)})

    def agree(self, config: ConfigRecord) -> None:
        """Note what the sites are asked for, so that :meth:`receive` can hold them to it.

        Raises:
            FederationError: If the privacy plugin agreed on does not send what this strategy needs, or sites cannot
                choose by the fairness rule agreed on, since their rows are asked for in several rounds.
            MessageError: If ``config`` holds no agreement.
            PluginError: If there is no such plugin.
        """
        self._agreement = Agreement.from_record(config, source="the server")
        if self._agreement.fairness != "none" and self.rounds > 1:
            msg = (
                f"The strategy {type(self).__name__} asks for rows in several rounds, so sites cannot choose them by "
                f"the fairness rule '{self._agreement.fairness}'; take a strategy of one round, or fairness none."
            )
            raise FederationError(msg)
        privacy = self._agreement.privacy
        sends_banks = issubclass(registry.load("privacy", privacy), BankPrivacy)
        if sends_banks != self.merges_banks:
            needed, wrong = ("banks", "sums") if self.merges_banks else ("sums", "banks")
            other = "the strategy noisy_sums" if self.merges_banks else "the privacy plugin adaptive_gaussian"
            msg = (
                f"The strategy {type(self).__name__} needs sites that send {needed}, but under the privacy plugin "
                f"'{privacy}' they send {wrong}; take {other}, say."
            )
            raise FederationError(msg)

    @property
    def agreement(self) -> Agreement:
        """What the sites are asked for.

        Raises:
            FederationError: If nothing was agreed yet.
        """
        if self._agreement is None:
            msg = "Nothing was agreed with the sites yet; call configure_train first."
            raise FederationError(msg)
        return self._agreement

    def receive(self, replies: Iterable[Message]) -> list[MemoryBank]:
        """Validate the banks that came.

        Args:
            replies: One from every node that was asked; not trusted.

        Returns:
            One bank per site, in the order of the sites' names.

        Raises:
            FederationError: If nothing was agreed yet, or a node failed or did not answer.
            BankError: If a bank is not valid, or not what was agreed.
            MessageError: If a message lacks a record, or a site sent rows of others.
        """
        agreement = self.agreement
        banks, self.banks_received = [], {}
        for site, reply in self._by_site(replies):
            bank = site_bank(reply, agreement).bank
            banks.append(bank)
            self.banks_received[site] = bank
            self._sites[reply.metadata.src_node_id] = site
            self._held.setdefault(site, set()).update(bank.categories)
            self._count(site, reply, bank.categories)
        return banks

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Send each site the categories of the global bank that it contributed to, to measure how well it covers them.

        Nobody is asked if something was promised about pictures: a distance that was measured on them would break it.

        Raises:
            BankError: If ``arrays`` hold no valid bank.
        """
        del server_round, grid
        bank = bank_of(arrays)
        if any(promise.per_picture for promise in bank.privacy.values()):
            return self._to_nobody()
        self._rows = {category: len(bank.for_category(category)) for category in bank.categories}
        return self._to_holders(MessageType.EVALUATE, bank, config)

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> MetricRecord | None:
        """The covering radius per category over all sites: the largest that any site measured.

        Raises:
            FederationError: If a node failed or did not answer.
            MessageError: If a message lacks a record, or a site did not measure exactly what it sent rows of.
        """
        del server_round
        if not self._asked:
            return None
        answers = {}
        for site, reply in self._by_site(replies):
            rows = {name: self._rows[name] for name in self._admitted(site) & self._rows.keys()}
            answers[site] = site_covering(reply, rows)
            self._count(site, reply, rows)
        self.measured = Measured.of(answers)
        return MetricRecord(dict(self.measured.radius))

    @property
    def nodes(self) -> dict[str, int]:
        """Node id of each site that answered."""
        return {site: node for node, site in sorted(self._sites.items())}

    def _count(self, site: str, reply: Message, categories: Collection[str]) -> None:
        """Add up what a question and its answer cost."""
        question = self._asked.get(reply.metadata.src_node_id)
        content = question.content if question else RecordDict()
        traffic.add(self.traffic, site, traffic.of_exchange(content, reply.content, categories))

    def _to_all_nodes(self, kind: str, content: RecordDict, grid: Grid) -> list[Message]:
        """The same message to every node that is connected."""
        nodes = sorted(grid.get_node_ids())
        self._registered = {node.node_id: node.name for node in grid.get_nodes() if node.name}
        if not nodes:
            msg = "No site is connected, so there is nothing to aggregate."
            raise FederationError(msg)
        return self._ask(kind, dict.fromkeys(nodes, content))

    def _to_holders(self, kind: str, bank: MemoryBank, config: ConfigRecord) -> list[Message]:
        """To each node that answered before, those categories of a bank that its site put rows into, if any."""
        contents = {}
        records: dict[tuple[str, ...], dict[str, ConfigRecord]] = {}
        for node, site in sorted(self._sites.items()):
            if own := tuple(sorted(self._admitted(site) & set(bank.categories))):
                records[own] = records.get(own) or messages.bank_records(bank, own)
                contents[node] = RecordDict({**records[own], messages.CONFIG: config})
        return self._ask(kind, contents)

    def _admitted(self, site: str) -> set[str]:
        """Categories of which a site sent rows that were not all refused."""
        gone = refused_altogether(self.refused)
        return {category for category in self._held[site] if (site, category) not in gone}

    def _to_nobody(self) -> list[Message]:
        """No message in this exchange."""
        return self._ask("", {})

    def _ask(self, kind: str, contents: Mapping[int, RecordDict]) -> list[Message]:
        """Messages, noted so that the replies can be held against them."""
        self._asked = {
            node: Message(content, dst_node_id=node, message_type=kind) for node, content in contents.items()
        }
        return list(self._asked.values())

    def _by_site(self, answers: Iterable[Message]) -> list[tuple[str, Message]]:
        """Replies with their site's name, in the order of names: arrival order must not matter."""
        answers = list(answers)
        for reply in answers:
            if failure := failure_of(reply, node=self._node_of(reply)):
                raise FederationError(failure)
        if silent := sorted(set(self._asked) - {reply.metadata.src_node_id for reply in answers}):
            msg = f"{len(silent)} of {len(self._asked)} nodes did not answer in time: {', '.join(map(str, silent))}."
            raise FederationError(msg)
        named = [(self._site_of(reply), reply) for reply in answers]
        return sorted(named, key=lambda pair: pair[0])

    def _node_of(self, reply: Message) -> int:
        """The node that was asked: where the SuperLink answers for one that went offline, the question says which."""
        sender, answered = reply.metadata.src_node_id, reply.metadata.reply_to_message_id
        numbers = {question.metadata.message_id: node for node, question in self._asked.items()}
        return numbers.get(answered, sender) if answered else sender  # in one process, messages have no number

    def _site_of(self, reply: Message) -> str:
        """The site that a node speaks for: in all rounds the same, and of the name under which it is registered."""
        site, node = messages.site_name(reply), reply.metadata.src_node_id
        if (name := self._registered.get(node, site)) != site:
            msg = f"Node {node} answers as site '{site}', but is registered as {name[:200]!a}; set its site right."
            raise MessageError(msg)
        if self._sites.get(node, site) != site:
            msg = f"Node {node} answers as site '{site}', but was '{self._sites[node]}' before."
            raise MessageError(msg)
        return site
