"""Learning from noisy sums: in rounds, every site adds up one vector per picture, and the centre the sites' sums.

No bank leaves a site. Which vectors, how many rounds and how much noise is the privacy plugin's to say
(:class:`anomalib_federated.interfaces.privacy.SumPrivacy`); this strategy carries the sums.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid

from anomalib_federated import messages, registry
from anomalib_federated.bank import MemoryBank
from anomalib_federated.bank.learnt_bank import bank_of_learnt
from anomalib_federated.interfaces.privacy import SumPrivacy
from anomalib_federated.interfaces.strategy import BankStrategy, FederationError
from anomalib_federated.messages import MessageError, traffic
from anomalib_federated.messages.bank_arrays import arrays_of
from anomalib_federated.messages.sums import EVERY, ROUND, SUMS, report_in, state_records, sums_in
from anomalib_federated.privacy import PrivacyReport
from anomalib_federated.privacy.discrete_gaussian import Integers
from anomalib_federated.privacy.noise import Noise
from anomalib_federated.privacy.state import State

logger = logging.getLogger(__name__)

ALL_SITES = "all-sites"
"""In place of a site's name, in a bank of which nobody knows whose picture is behind which row."""


class NoisySums(BankStrategy):
    """Drives a privacy plugin that learns from sums; all sites must stay online for its rounds.

    Args:
        seed: Is not used: all chance is noise, which nobody may be able to draw again.

    Attributes:
        noise: Source of the noise that the centre adds, if it does.
    """

    keeps_site_banks = merges_banks = False

    def __init__(self, *, seed: int = 0) -> None:
        super().__init__(seed=seed)
        self.noise = Noise()
        self._privacy: SumPrivacy | None = None
        self._states: dict[str, State] = {}
        self._promises: dict[str, PrivacyReport] = {}

    def agree(self, config: ConfigRecord) -> None:
        """Note what the sites are asked for, and how many rounds it takes.

        Raises:
            FederationError: If the privacy plugin agreed on sends no sums.
            MessageError: If ``config`` holds no agreement.
            PluginError: If there is no such plugin.
        """
        super().agree(config)
        agreement = self.agreement
        spec = {"class_path": agreement.privacy, "init_args": agreement.privacy_args}
        privacy = registry.build("privacy", spec)
        if not isinstance(privacy, SumPrivacy):
            msg = (
                f"The strategy noisy_sums needs a privacy plugin that sends sums, but '{agreement.privacy}' sends "
                "banks; name another as privacy, such as adaptive_gaussian, or choose another strategy."
            )
            raise FederationError(msg)
        self._privacy, self.rounds = privacy, len(privacy.shares)

    def aggregate(self, banks: Sequence[MemoryBank]) -> MemoryBank:
        """There are no banks of sites to aggregate.

        Raises:
            FederationError: Always.
        """
        del banks
        msg = "The strategy noisy_sums makes no bank of sites' banks; choose another to aggregate them."
        raise FederationError(msg)

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Tell every site what is known, and ask it for its sums."""
        del arrays
        self.agree(config)
        question = ConfigRecord({**config, ROUND: server_round})
        if server_round == 1:
            self.begin()
            self._promises = {}
            self._states = {EVERY: self.privacy.start(self.agreement.space)}
            content = RecordDict({messages.CONFIG: question, **state_records(self._states)})
            return self._to_all_nodes(SUMS, content, grid)
        contents = {
            node: RecordDict({messages.CONFIG: question, **state_records(self._known_to(site))})
            for node, site in sorted(self._sites.items())
        }
        return self._ask(SUMS, contents)

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Add up the sites' sums, and learn from them; after the last round, make the bank.

        Raises:
            FederationError: If a node failed or did not answer, a site left a category out, or too few add noise.
            MessageError: If a message is not what was asked for.
        """
        number = server_round - 1
        sums = self._received(replies)
        categories = sorted({category for found in sums.values() for category in found})
        for category in categories:
            of_sites = [found[category] for found in sums.values() if category in found]
            self._check_adders(category, len(of_sites))
            known = self._states.get(category) or self._states[EVERY]
            total = self.privacy.total(of_sites, known, number, noise=self.noise)
            self._states[category] = self.privacy.learn(known, total)
        self._states.pop(EVERY, None)
        logger.info("Round %d of %d: sums of %d sites in %d categories", server_round, self.rounds, len(sums),
                    len(categories))  # fmt: skip
        if server_round < self.rounds:
            return None, MetricRecord({"categories": len(categories)})
        bank = self._bank()
        return arrays_of(bank), MetricRecord({"rows": len(bank)})

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Nobody measures: that would tell more about the pictures than was promised."""
        del server_round, arrays, config, grid
        return self._to_nobody()

    @property
    def privacy(self) -> SumPrivacy:
        """The privacy plugin.

        Raises:
            FederationError: If nothing was agreed yet.
        """
        if self._privacy is None:
            msg = "Nothing was agreed with the sites yet; call agree first."
            raise FederationError(msg)
        return self._privacy

    def _known_to(self, site: str) -> dict[str, State]:
        return {category: self._states[category] for category in sorted(self._held[site])}

    def _received(self, replies: Iterable[Message]) -> dict[str, dict[str, Integers]]:
        """Per site its sums, as they were asked for."""
        found: dict[str, dict[str, Integers]] = {}
        for site, reply in self._by_site(replies):
            source = f"site '{site}'"
            sums = sums_in(reply.content, self._dimensions, source=source)
            promise = report_in(reply.content, source=source)
            self._check_promise(promise, site)
            if site in self._held and set(sums) != self._held[site]:
                msg = f"Site '{site}' added up {', '.join(sums)}, but was asked for {', '.join(self._held[site])}."
                raise MessageError(msg)
            self._sites[reply.metadata.src_node_id] = site
            self._held[site] = set(sums)
            asked = self._asked[reply.metadata.src_node_id].content
            traffic.add(self.traffic, site, traffic.of_exchange(asked, reply.content, tuple(sums)))
            found[site] = sums
        return found

    def _dimensions(self, category: str) -> int | None:
        state = self._states.get(EVERY) or self._states.get(category)
        return None if state is None else self.privacy.dimensions(state)

    def _check_promise(self, promise: PrivacyReport, site: str) -> None:
        """A site may choose between pictures and parts, and nothing else; and it does not change its mind."""
        allowed = [self.privacy.report("picture"), self.privacy.report("part")]
        if promise not in allowed or self._promises.setdefault(site, promise) != promise:
            msg = f"Site '{site}' promises something else about its pictures than was agreed: {promise.mechanism}"
            raise MessageError(msg)

    def _check_adders(self, category: str, sites: int) -> None:
        wanted = self.privacy.adders.honest_sites
        if sites < wanted:
            msg = (
                f"{wanted} sites were to share the noise, but only {sites} have pictures of '{category}', so the sum "
                "would have too little; agree on a smaller honest_sites."
            )
            raise FederationError(msg)

    def _bank(self) -> MemoryBank:
        learnt = {category: self.privacy.finish(state) for category, state in sorted(self._states.items())}
        # A promise about parts holds for each of their pictures too.
        weakest = min(self._promises.values(), key=lambda promise: promise.unit != "picture")
        return bank_of_learnt(
            learnt, space=self.agreement.space, method=self.agreement.privacy, site=ALL_SITES,
            privacy={ALL_SITES: weakest},
        )  # fmt: skip
