"""What an experiment compares: methods, each a way to get a memory bank out of the training images."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, TypeAlias

from anomalib_federated import registry
from anomalib_federated.data.corruption import Corruption, CorruptionLike
from anomalib_federated.data.grouping import Grouping
from anomalib_federated.selection.budget import BudgetLike

PluginSpec: TypeAlias = str | dict[str, Any]

UNSAID: dict[str, Any] = {"groups": None, "fairness": "none", "train_corruption": None}
"""Settings that came later: left out while they say nothing, so that results of before are still those of a method."""


class ExperimentError(ValueError):
    """An experiment cannot be run as described; the message names the method or the cell."""


def check_name(method: str) -> None:
    """Refuse a method whose name no folder should have: results lie in folders of these names.

    Raises:
        ExperimentError: If it is not made of letters, digits and ``. _ -``, a letter or a digit first.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", method):
        msg = f"The method {method!a} names a folder; use letters, digits and . _ - only, a letter or a digit first."
        raise ExperimentError(msg)


@dataclass(frozen=True, kw_only=True)
class Method:
    """One way to train.

    Attributes:
        partitioner: The partitioner plugin; ``None`` pools all images: no federation.
        strategy: The strategy plugin, with its arguments.
        site_coreset: The coreset plugin of the sites; ``None`` takes the detector's.
        site_budget: Rows per category that a site sends; ``None`` takes the detector's budget.
        privacy: The privacy plugin of the sites.
        groups: How pictures are grouped, as :meth:`anomalib_federated.data.grouping.Grouping.of` reads it; ``None``
            tells of no groups.
        fairness: The fairness plugin that selects among the groups, at each site or of the pooled images; ``none``
            leaves it to the coreset.
        screening: The screening plugins that the sites' banks pass, one after the other, before they are aggregated.
        model: Settings of the detector that differ from the experiment's.
        train_corruption: What befalls the training pictures; ``None`` takes the data set's.

    Example:
        >>> Method.of("iid_3", {"partitioner": {"class_path": "iid", "init_args": {"sites": 3}}}).strategy
        'federated_coreset'
        >>> Method.of("centralised", {}).pooled
        True
    """

    partitioner: PluginSpec | None = None
    strategy: PluginSpec = "federated_coreset"
    site_coreset: PluginSpec | None = None
    site_budget: BudgetLike | None = None
    privacy: PluginSpec = "none"
    groups: dict[str, Any] | None = None
    fairness: PluginSpec = "none"
    screening: list[PluginSpec] = field(default_factory=list)
    model: dict[str, Any] = field(default_factory=dict)
    train_corruption: CorruptionLike | None = None

    @classmethod
    def of(cls, name: str, settings: Mapping[str, Any] | None) -> Method:
        """A method out of the plain data of a configuration.

        Raises:
            ExperimentError: If the name cannot be that of a folder, a setting is unknown, or two do not go together.
            GroupingError: If the groups are not understood.
        """
        check_name(name)
        known = [item.name for item in fields(cls)]
        if unknown := sorted(set(settings or {}) - set(known)):
            msg = f"Method '{name}' has no setting '{unknown[0]}'; it knows {', '.join(known)}."
            raise ExperimentError(msg)
        method = cls(**(settings or {}))
        if method.pooled and (set(settings or {}) - {"partitioner", "model", *UNSAID}):
            msg = f"Method '{name}' has no partitioner, so there are no sites; name one, or leave out what is theirs."
            raise ExperimentError(msg)
        grouping = method.grouping
        if grouping is None and registry.name_of(method.fairness, kind="fairness") != "none":
            msg = f"Method '{name}' names a fairness rule, but no groups; say how pictures are grouped."
            raise ExperimentError(msg)
        if method.train_corruption is not None:
            Corruption.of(method.train_corruption)  # a mistake in it comes to light before anything runs
        return method

    @property
    def grouping(self) -> Grouping | None:
        """How pictures are grouped.

        Raises:
            GroupingError: If that is not understood.
        """
        return None if self.groups is None else Grouping.of(self.groups)

    @property
    def pooled(self) -> bool:
        """Whether all images are pooled."""
        return self.partitioner is None

    def plain(self) -> dict[str, Any]:
        """The settings as plain data, those alone that have a meaning for this method."""
        said = {name: value for name, value in asdict(self).items() if name not in UNSAID or value != UNSAID[name]}
        return {name: said[name] for name in ("model", *UNSAID) if name in said} if self.pooled else said
