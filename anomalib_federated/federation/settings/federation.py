"""``federation.yaml``: what the centre asks for, of whom, until when, and what it does with the answers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser

from anomalib_federated import registry
from anomalib_federated.federation.agreement_of_model import make_agreement
from anomalib_federated.federation.collection_plan import CollectionPlan
from anomalib_federated.federation.settings.reading import named, read_settings, settings_parser
from anomalib_federated.interfaces.configured_strategy import build_strategy
from anomalib_federated.interfaces.strategy import BankStrategy
from anomalib_federated.messages.agreement import Agreement
from anomalib_federated.models import FederatedPatchcore
from anomalib_federated.selection.budget import BudgetLike

PLUGIN = str | dict[str, Any]
"""A plugin's name, or its ``class_path`` and ``init_args``."""


@dataclass(frozen=True, kw_only=True)
class FederationSettings:
    """The centre's settings.

    Attributes:
        model: The detector: its feature space, coreset and budget are what the sites agree on.
        sites: Names of the sites that are expected.
        renew: Names of those that are asked for a new bank though theirs is in. A strategy of several rounds asks all
            of them in each run.
        output: The federation folder.
        site_coreset: The coreset plugin of the sites; ``None`` takes the detector's.
        site_budget: Rows per category that a site sends; ``None`` takes the detector's budget.
        dtype: Type of the features sent.
        seed: Decides every random choice.
        privacy: The privacy plugin of the sites, with its arguments: what they send in place of their banks.
        fairness: The fairness plugin of the sites, with its arguments: by it each chooses its rows among its own groups
            of pictures; ``none`` leaves it to the coreset.
        strategy: The strategy plugin, with its arguments.
        screening: The screening plugins that the sites' banks pass, one after the other, before they are aggregated.
        deadline: Seconds after which the collection ends.
        quorum: Sites without which there is no global bank; ``None`` waits for all of ``sites``.
        attempts: How often a site that fails is asked.
        backoff: Seconds before it is asked again, doubled each time.
        poll: Seconds between two looks at who is online.
        patience: Seconds to wait for answers about the global bank, and in each round of a strategy of several.
    """

    model: FederatedPatchcore
    sites: tuple[str, ...]
    renew: tuple[str, ...]
    output: Path
    site_coreset: str | dict[str, Any] | None
    site_budget: BudgetLike | None
    dtype: str
    seed: int
    privacy: str | dict[str, Any]
    fairness: str | dict[str, Any]
    strategy: str | dict[str, Any]
    screening: list[str | dict[str, Any]]
    deadline: float
    quorum: int | None
    attempts: int
    backoff: float
    poll: float
    patience: float

    @classmethod
    def read(cls, path: str | Path) -> FederationSettings:
        """Read ``federation.yaml``.

        Args:
            path: The file. Paths in it are absolute, or start where the process was started.

        Raises:
            SettingsError: If it cannot be used; the message names the field.
        """
        with named(Path(path)):
            values = vars(read_settings(Path(path), _parser()))
            settings = cls(**{**values, "sites": tuple(values["sites"]), "renew": tuple(values["renew"])})
            settings._check()  # mistakes come to light before anybody is asked
        return settings

    def _check(self) -> None:
        agreement = self.agreement()
        spec = {"class_path": agreement.coreset, "init_args": agreement.coreset_args}
        registry.build("coreset", spec, budget=agreement.budget)
        registry.build("privacy", self.privacy)
        self.make_strategy().agree(agreement.to_record())
        self.plan()

    def agreement(self) -> Agreement:
        """What the sites are asked for."""
        return make_agreement(
            self.model, coreset=self.site_coreset, budget=self.site_budget, dtype=self.dtype, seed=self.seed,
            privacy=self.privacy, fairness=self.fairness,
        )  # fmt: skip

    def plan(self) -> CollectionPlan:
        """How long to wait for whom."""
        return CollectionPlan(
            sites=self.sites,
            renew=self.renew,
            deadline=self.deadline,
            quorum=len(self.sites) if self.quorum is None else self.quorum,
            attempts=self.attempts,
            backoff=self.backoff,
            poll=self.poll,
        )

    def make_strategy(self) -> BankStrategy:
        """The strategy with its screenings, as new."""
        return build_strategy(self.strategy, screening=self.screening, seed=self.seed)


def _parser() -> ArgumentParser:
    parser = settings_parser()
    parser.add_subclass_arguments(FederatedPatchcore, "model", required=True)
    parser.add_argument("--sites", type=list[str], required=True)
    parser.add_argument("--renew", type=list[str], default=[])
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--site_coreset", type=PLUGIN | None, default=None)
    parser.add_argument("--site_budget", type=int | float | dict[str, int | float] | None, default=None)
    parser.add_argument("--dtype", type=str, default="float16")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--privacy", type=PLUGIN, default="none")
    parser.add_argument("--fairness", type=PLUGIN, default="none")
    parser.add_argument("--strategy", type=PLUGIN, default="federated_coreset")
    parser.add_argument("--screening", type=list[PLUGIN], default=[])
    parser.add_argument("--deadline", type=float, default=86_400.0)
    parser.add_argument("--quorum", type=int | None, default=None)
    parser.add_argument("--attempts", type=int, default=5)
    parser.add_argument("--backoff", type=float, default=30.0)
    parser.add_argument("--poll", type=float, default=3.0)
    parser.add_argument("--patience", type=float, default=3600.0)
    return parser
