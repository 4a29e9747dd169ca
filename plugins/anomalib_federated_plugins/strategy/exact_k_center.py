"""Greedy k-center over the patches of all sites, pick for pick that of pooled training.

A coreset of the sites' coresets covers worse than one of all patches: what a site's rows leave out, the global rows
cannot know of. Here the sites answer in rounds instead. In each, the server sends the picks so far, and every site the
patches that these leave farthest, with a bound on all its others. As long as the farthest candidate is farther than
every bound, it is the farthest patch of all sites, so the server may pick on by itself; then the next round begins.
This is the lazy greedy method of :mod:`anomalib_federated.selection.lazy_greedy`, its pool spread over the sites.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

import torch
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp import Grid
from torch import Tensor

from anomalib_federated import messages
from anomalib_federated.bank import MemoryBank
from anomalib_federated.bank.row_groups import union_of_groups
from anomalib_federated.interfaces.strategy import FederationError
from anomalib_federated.messages.bank_arrays import arrays_of
from anomalib_federated.selection.budget import BudgetLike
from anomalib_federated.selection.distances import nearest
from anomalib_federated.selection.lazy_greedy import greedy_in_pool
from anomalib_federated_plugins.strategy.federated_coreset import FederatedCoreset

logger = logging.getLogger(__name__)

METHOD = "exact k-center"
"""What the rows are, for the record."""
LARGEST_POOL = 8192
"""Candidates that the server compares with each other, however many sites there are."""


class ExactKCenter(FederatedCoreset):
    """Picks the patch that is farthest of all sites' patches, again and again, in rounds with the sites.

    Rows, order and covering radius are those of k-center on the pooled patches from the same first pick. All sites must
    stay online for the rounds, a few dozen; banks collected one by one are merged as by :class:`FederatedCoreset`.

    Args:
        budget: Rows per category: a number (int), a share of the patches (float in (0, 1]), or
            ``{"radius": R, "rows": MOST}``.
        candidates: Patches that each site sends per category and round: more of them make fewer rounds.
        rounds: Rounds after which the candidates at hand must do.
        seed: Decides the first pick.
    """

    keeps_site_banks = False

    def __init__(self, *, budget: BudgetLike = 10_000, candidates: int = 512, rounds: int = 200, seed: int = 0) -> None:
        super().__init__(budget=budget, coreset="k_center", seed=seed)
        for name, value in {"candidates": candidates, "rounds": rounds}.items():
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                msg = f"The strategy's {name} is {value!r}; give a whole number of at least 1."
                raise ValueError(msg)
        self.candidates = candidates
        self.rounds = rounds
        self._picks: dict[str, MemoryBank] = {}
        self._complete: set[str] = set()  # categories

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Ask every node for the patches that the picks so far leave farthest."""
        del arrays  # the picks so far are here
        if server_round == 1:
            self.begin()
            self._picks, self._complete = {}, set()
        self.agree(config)
        query = ConfigRecord({**config, messages.COUNT: self.candidates})
        if not self._picks:
            return self._to_all_nodes(messages.CANDIDATES, RecordDict({messages.CONFIG: query}), grid)
        waiting = [bank for category, bank in self._picks.items() if category not in self._complete]
        if not waiting:
            return self._to_nobody()
        return self._to_holders(messages.CANDIDATES, MemoryBank.merge(waiting), query)

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Pick on, as far as the candidates tell.

        Raises:
            FederationError: If a node failed or did not answer, or a site names no bound.
            BankError: If a site's candidates are no valid bank, or not what was agreed.
        """
        if not self._asked:
            return None, None
        replies = list(replies)
        banks = self.receive(replies)
        self.banks_received = {}  # candidates, not banks that could be merged again
        for category in sorted({name for bank in banks for name in bank.categories}):
            candidates = MemoryBank.merge(bank.for_category(category) for bank in banks if category in bank.categories)
            self._pick(candidates, _bound(replies, candidates) if category in self._picks else None)
        if server_round == self.rounds:
            logger.warning("After %d rounds, %d categories have fewer rows than they might; allow more rounds",
                           server_round, len(self._picks) - len(self._complete))  # fmt: skip
            self._complete = set(self._picks)
        picks = MemoryBank.merge(self._picks.values())
        logger.info("Round %d: %d picks", server_round, len(picks))
        return arrays_of(picks), MetricRecord({"rows": len(picks)})

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Have the bank measured once it is complete."""
        if not self._asked or self._complete != set(self._picks):
            return self._to_nobody()
        return super().configure_evaluate(server_round, arrays, config, grid)

    def _pick(self, candidates: MemoryBank, bound: float | None) -> None:
        """Go on picking in the one category of the candidates; without a bound, make the first pick."""
        (category,) = candidates.categories
        most = self.coreset.rows(sum(item.patches for item in candidates.contributions))
        if bound is None:
            first = torch.randint(len(candidates), (1,), generator=torch.Generator().manual_seed(self.seed))
            self._picks[category] = _named(candidates.select(first))
        else:
            self._pick_certain(candidates, bound, most=most)
        if len(self._picks[category]) >= most:
            self._complete.add(category)

    def _pick_certain(self, candidates: MemoryBank, bound: float, *, most: int) -> None:
        (category,) = candidates.categories
        picks = self._picks[category]
        target = (self.coreset.budget.radius or 0.0) ** 2
        squared = _squared_to_nearest(candidates.features, picks.features)
        pool, outside = _pool(squared, bound)
        if max(float(squared.max()), bound) <= target:
            self._complete.add(category)
            return
        points = candidates.features[pool].double()
        new, _ = greedy_in_pool(
            points - points.median(0).values,
            squared[pool],
            outside=max(outside, target),
            most=most - len(picks),
        )
        self._picks[category] = _joined(picks, candidates.select(pool[new]))


def _squared_to_nearest(candidates: Tensor, picks: Tensor) -> Tensor:
    """Squared distance of each candidate to its nearest pick, by differences, float64."""
    owner = nearest(candidates, picks)[1]
    return (candidates.double() - picks[owner].double()).pow(2).sum(1)


def _pool(squared: Tensor, bound: float) -> tuple[Tensor, float]:
    """The farthest candidates, in order, and what nobody else's squared distance exceeds."""
    if len(squared) <= LARGEST_POOL:
        return torch.arange(len(squared)), bound
    values, rows = squared.topk(LARGEST_POOL + 1)
    return rows[:-1].sort().values, max(bound, float(values[-1]))


def _bound(replies: Sequence[Message], candidates: MemoryBank) -> float:
    """What no patch's squared distance exceeds, except those of the candidates, at any site."""
    (category,) = candidates.categories
    bounds = [messages.record(reply, messages.BOUND, MetricRecord).get(category) for reply in replies]
    given = [value for value in bounds if isinstance(value, float) and -1 <= value < float("inf")]
    if len(given) != len(candidates.sites):
        msg = f"Of {len(candidates.sites)} sites, {len(given)} say how far their other patches of '{category}' are."
        raise FederationError(msg)
    return max(given)


def _joined(picks: MemoryBank, new: MemoryBank) -> MemoryBank:
    """More picks below those made before; what the sites say of themselves is the latest."""
    if picks.sites != new.sites:
        msg = f"Other sites sent candidates ({', '.join(new.sites)}) than before ({', '.join(picks.sites)})."
        raise FederationError(msg)
    return _named(
        replace(
            picks,
            features=torch.cat([picks.features, new.features]),
            weights=torch.cat([picks.weights, new.weights]),
            row_site=torch.cat([picks.row_site, new.row_site]),
            row_category=torch.cat([picks.row_category, new.row_category]),
            **union_of_groups([picks, new]),
            contributions=tuple(replace(item, rows=item.patches) for item in new.contributions),
        )
    )


def _named(bank: MemoryBank) -> MemoryBank:
    """The bank, whose contributions say how many of its rows are of each site."""
    held = Counter(bank.row_site.tolist())
    contributions = tuple(
        # A site none of whose patches was picked took part all the same.
        replace(item, rows=max(1, held[bank.sites.index(item.site)]), coreset=METHOD)
        for item in bank.contributions
    )
    return replace(bank, contributions=contributions, coresets=dict.fromkeys(bank.categories, METHOD))
