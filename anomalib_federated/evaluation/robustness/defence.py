"""Defences: a chain of screenings before a strategy, and which rows they let in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from anomalib_federated import registry
from anomalib_federated.bank import MemoryBank
from anomalib_federated.evaluation.robustness.loot import RobustnessError
from anomalib_federated.interfaces.screening import Screening
from anomalib_federated.interfaces.strategy import BankStrategy

PluginSpec: TypeAlias = str | Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Defence:
    """What stands between the banks that sites send and the global bank.

    Attributes:
        strategy: The strategy plugin.
        screening: Screening plugins, in the order in which they look.
        seed: Of the strategy.

    Example:
        >>> Defence(strategy="concatenate").plain()
        {'strategy': 'concatenate', 'screening': (), 'seed': 0}
    """

    strategy: PluginSpec = "federated_coreset"
    screening: tuple[PluginSpec, ...] = ()
    seed: int = 0

    def chain(self) -> list[Screening]:
        """The screenings, made anew.

        Raises:
            PluginError: If one cannot be had.
        """
        return [registry.build("screening", each) for each in self.screening]

    def make_strategy(self) -> BankStrategy:
        """The strategy, made anew.

        Raises:
            PluginError: If it cannot be had.
        """
        strategy: BankStrategy = registry.build("strategy", self.strategy, seed=self.seed)
        return strategy

    def let_in(self, banks: Sequence[MemoryBank]) -> dict[str, Tensor]:
        """Which rows pass the chain.

        Args:
            banks: One per site, of one category.

        Returns:
            Per site, shape ``(rows of its bank,)``, bool.
        """
        ordered = sorted(banks, key=lambda bank: bank.sites)
        passed = {bank.sites[0]: torch.ones(len(bank), dtype=torch.bool) for bank in ordered}
        for screening in self.chain():
            for refusal in screening.screen(only(ordered, passed)):
                # A view of those left, not a copy: the refusal counts rows that earlier screenings left.
                left = passed[refusal.site].nonzero().flatten()
                passed[refusal.site][left[refusal.rows]] = False
        return passed

    def merge(self, banks: Sequence[MemoryBank], passed: Mapping[str, Tensor]) -> MemoryBank:
        """The global bank of the rows that passed.

        Raises:
            RobustnessError: If none did.
        """
        left = only(banks, passed)
        if not left:
            msg = "The defence refuses all rows of all sites, so there is no global bank; loosen its screenings."
            raise RobustnessError(msg)
        return self.make_strategy().merge(left)

    def plain(self) -> dict[str, Any]:
        """The settings as plain data."""
        return asdict(self)


def only(banks: Sequence[MemoryBank], passed: Mapping[str, Tensor]) -> list[MemoryBank]:
    """The banks without the rows that did not pass; sites of which none did are left out."""
    return [
        bank if bool(mask.all()) else bank.select(mask.nonzero().flatten())
        for bank in banks
        if bool((mask := passed[bank.sites[0]]).any())
    ]
