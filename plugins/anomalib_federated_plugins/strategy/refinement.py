"""A coreset of the sites' coresets, which then send more rows where it leaves their patches far away.

What a site sends in one exchange is chosen without knowing what others send: much of it covers what they cover as well,
and what only this site has may go under. Here a site sends a part of its rows first. In a second round it gets the
global bank, and sends more of those patches that are far from every row which the federation has, chosen by greedy
k-center that begins with these rows: see :mod:`anomalib_federated.federation.refinement`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.serverapp import Grid

from anomalib_federated import messages
from anomalib_federated.bank import MemoryBank
from anomalib_federated.bank.row_groups import union_of_groups
from anomalib_federated.interfaces.strategy import FederationError
from anomalib_federated.messages import MessageError
from anomalib_federated.messages.agreement import Agreement
from anomalib_federated.messages.bank_arrays import bank_of
from anomalib_federated.messages.replies import MOST_PATCHES, site_bank
from anomalib_federated.selection.budget import BudgetLike
from anomalib_federated_plugins.strategy.federated_coreset import FederatedCoreset


class Refinement(FederatedCoreset):
    """Selects from the rows of two rounds, the second of which fills the gaps that the first left.

    A site sends no more in both rounds together than the agreement's budget. Its rows of both make one bank, out of
    which the global bank can be made again later, with or without other sites; that asks nobody. Screenings look at
    what is there in each round: a site that they refuse in the first is not asked in the second.

    Args:
        budget: Rows per category: a number (int), a share of the rows received (float in (0, 1]), or
            ``{"radius": R, "rows": MOST}``.
        first: Share of what a site may send that it sends in the first round; above 0 and below 1.
        beyond: How far a patch must be from the rows of the global bank, and from those that its site sent, to be sent
            in the second round: a share of the covering radius that the sites measured; above 0, at most 1. A site none
            of whose patches is so far sends nothing more.
        coreset: The coreset plugin that selects the global bank, by name or as ``class_path`` and ``init_args``.
        seed: Decides every random choice of the coreset.

    Raises:
        ValueError: If ``first`` or ``beyond`` is impossible.
    """

    rounds = 2

    def __init__(
        self,
        *,
        budget: BudgetLike = 10_000,
        first: float = 0.5,
        beyond: float = 0.5,
        coreset: str | Mapping[str, Any] = "k_center",
        seed: int = 0,
    ) -> None:
        super().__init__(budget=budget, coreset=coreset, seed=seed)
        if not isinstance(first, float) or not 0 < first < 1:
            msg = f"The strategy's first is {first!r}; give the share of rows for the first round, above 0 and below 1."
            raise ValueError(msg)
        if isinstance(beyond, bool) or not isinstance(beyond, float | int) or not 0 < beyond <= 1:
            msg = f"The strategy's beyond is {beyond!r}; give a share of the covering radius, above 0 and at most 1."
            raise ValueError(msg)
        self.first = first
        self.beyond = float(beyond)
        self._sent_first: dict[str, MemoryBank] = {}  # per site; empty in the first round

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Ask every node for a part of its rows, then for more, where the global bank leaves its patches far away.

        Raises:
            FederationError: If no node is connected, or nobody measured the bank of the first round.
            MessageError: If ``config`` holds no agreement.
        """
        if server_round == 1:
            self._sent_first = {}
            part = Agreement.from_record(config, source="the server").part(self.first).to_record()
            return super().configure_train(server_round, arrays, ConfigRecord({**config, **part}), grid)
        if self.measured is None:
            msg = "The bank of the first round was not measured, so there is nothing to refine."
            raise FederationError(msg)
        self.agree(config)
        self._sent_first = self.banks_received
        bank = self.measured.applied_to(bank_of(arrays))
        query = ConfigRecord({**config, messages.FIRST: self.first, messages.BEYOND: self.beyond})
        return self._to_holders(messages.REFINE, bank, query)

    def receive(self, replies: Iterable[Message]) -> list[MemoryBank]:
        """Validate what came.

        Returns:
            One bank per site, in the order of the sites' names: its rows of this round and the one before. Sites that
            were refused in the first round are among them, with what they sent then: the merge has to refuse them anew.

        Raises:
            FederationError: If a node failed or did not answer.
            BankError: If rows are no valid bank, or not what was agreed.
            MessageError: If a message lacks a record, or its rows do not go with those that the site sent before.
        """
        if not self._sent_first or self._agreement is None:
            return super().receive(replies)
        self.banks_received = dict(self._sent_first)
        for site, reply in self._by_site(replies):
            before = self._sent_first[site]
            self.banks_received[site] = _with_more(before, reply, self._agreement)
            self._count(site, reply, before.categories)
        return list(self.banks_received.values())


def _with_more(before: MemoryBank, reply: Message, agreement: Agreement) -> MemoryBank:
    """The bank that a site sent in the first round, with the rows of the second if it sent any."""
    if not messages.has_bank(reply.content):
        return before
    more = site_bank(reply, agreement).bank
    counts = messages.record(reply, messages.WEIGHTS, MetricRecord)
    if unknown := sorted(set(more.categories) - set(before.categories)):
        msg = f"Site '{more.sites[0]}' sends more rows of '{unknown[0]}', of which it sent none before."
        raise MessageError(msg)
    both = MemoryBank.merge(
        _joined(before.for_category(name), more.for_category(name), counts.get(name))
        if name in more.categories
        else before.for_category(name)
        for name in before.categories
    )
    agreement.check(both)
    return both


def _joined(before: MemoryBank, more: MemoryBank, counts: object) -> MemoryBank:
    """Rows of two rounds, of one site and category, below each other."""
    (old,), (new,) = before.contributions, more.contributions
    sender = f"Site '{old.site}', category '{old.category}',"
    if (old.images, old.patches) != (new.images, new.patches):
        msg = f"{sender} had {old.patches} patches in the first round and {new.patches} in the second; start again."
        raise MessageError(msg)
    if (
        not isinstance(counts, list)
        or len(counts) != len(before)
        or not all(isinstance(count, int) and 1 <= count < MOST_PATCHES for count in counts)
    ):
        msg = f"{sender} does not say how many patches each of the {len(before)} rows stands for that it sent before."
        raise MessageError(msg)
    contribution = replace(
        new,
        rows=old.rows + new.rows,
        coreset=f"{old.coreset} + {new.coreset}",
        passes=old.passes + new.passes,
        seconds=old.seconds + new.seconds,
    )
    return replace(
        before,
        features=torch.cat([before.features, more.features]),
        row_category=torch.cat([before.row_category, more.row_category]),
        row_site=torch.cat([before.row_site, more.row_site]),
        **union_of_groups([before, more]),
        weights=torch.cat([torch.tensor(counts, dtype=torch.float32), more.weights]),
        contributions=(contribution,),
        coresets={old.category: contribution.coreset},
        covering_radius={} if new.covering_radius is None else {old.category: new.covering_radius},
    )
