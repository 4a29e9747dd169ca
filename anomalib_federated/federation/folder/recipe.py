"""What a version records of how it was made, so that the next can be made likewise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from anomalib_federated import registry
from anomalib_federated.federation.folder.version import Version
from anomalib_federated.interfaces.configured_strategy import build_strategy
from anomalib_federated.interfaces.strategy import BankStrategy
from anomalib_federated.registry import PluginError


def plain(spec: str | Mapping[str, Any], kind: str) -> dict[str, Any]:
    """A plugin as a version records it.

    Raises:
        PluginError: If ``spec`` is none.

    Example:
        >>> plain("concatenate", "strategy")
        {'class_path': 'concatenate', 'init_args': {}}
    """
    return {"class_path": registry.name_of(spec, kind=kind), "init_args": registry.arguments_of(spec)}


def plain_chain(strategy: BankStrategy, specs: Iterable[str | Mapping[str, Any]]) -> tuple[dict[str, Any], ...]:
    """The screenings of a strategy as a version records them.

    Args:
        strategy: Asks them.
        specs: What they were built from.

    Raises:
        PluginError: If a spec is none, or the strategy asks others.
    """
    chain = tuple(plain(spec, "screening") for spec in specs)
    told, asked = [spec["class_path"] for spec in chain], [name for name, _ in strategy.screening]
    if told != asked:
        msg = f"The strategy asks the screenings {asked}, but {told} are to be recorded; build it from these."
        raise PluginError(msg)
    return chain


def strategy_of(version: Version) -> BankStrategy:
    """The strategy that made a version, with its screenings, as new.

    Raises:
        PluginError: If one of them is not installed any more.
    """
    return build_strategy(version.strategy, screening=version.screening, seed=version.seed)
