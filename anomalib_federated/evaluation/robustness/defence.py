"""Defences: a chain of screenings before a strategy, and how many sites a detector then asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from torch import Tensor

from anomalib_federated import registry
from anomalib_federated.bank import MemoryBank
from anomalib_federated.evaluation.robustness.loot import RobustnessError
from anomalib_federated.interfaces.screening_chain import Chain, banks_left, build_chain, kept_rows
from anomalib_federated.interfaces.strategy import BankStrategy

PluginSpec: TypeAlias = str | Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Defence:
    """What stands between the banks that sites send and the global bank.

    Attributes:
        strategy: The strategy plugin.
        screening: Screening plugins, in the order in which they look.
        site_quorum: Of the detector that scores with the global bank.
        seed: Of the strategy.

    Raises:
        RobustnessError: If the quorum is no number of sites.

    Example:
        >>> Defence(strategy="concatenate").plain()
        {'strategy': 'concatenate', 'screening': (), 'site_quorum': 1, 'seed': 0}
    """

    strategy: PluginSpec = "federated_coreset"
    screening: tuple[PluginSpec, ...] = ()
    site_quorum: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.site_quorum, bool) or not isinstance(self.site_quorum, int) or self.site_quorum < 1:
            msg = f"A defence's site_quorum is {self.site_quorum!r}; give a number of sites, 1 for no quorum."
            raise RobustnessError(msg)

    def chain(self) -> Chain:
        """The screenings, made anew.

        Raises:
            PluginError: If one cannot be had.
        """
        return build_chain(self.screening)

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
        return kept_rows(sorted(banks, key=lambda bank: bank.sites), self.chain())[0]

    def merge(self, banks: Sequence[MemoryBank], passed: Mapping[str, Tensor]) -> MemoryBank:
        """The global bank of the rows that passed.

        Raises:
            RobustnessError: If none did.
        """
        left = banks_left(banks, passed)
        if not left:
            msg = "The defence refuses all rows of all sites, so there is no global bank; loosen its screenings."
            raise RobustnessError(msg)
        return self.make_strategy().merge(left)

    def plain(self) -> dict[str, Any]:
        """The settings as plain data."""
        return asdict(self)
