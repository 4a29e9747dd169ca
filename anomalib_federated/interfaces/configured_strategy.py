"""A strategy as a config describes it, with the screenings that it asks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from anomalib_federated import registry
from anomalib_federated.interfaces.screening_chain import build_chain
from anomalib_federated.interfaces.strategy import BankStrategy


def build_strategy(
    spec: str | Mapping[str, Any],
    *,
    screening: Iterable[str | Mapping[str, Any]] = (),
    **arguments: Any,  # noqa: ANN401 - the strategy decides
) -> BankStrategy:
    """Make a strategy, and the screenings that it asks before it merges banks.

    Args:
        spec: The strategy, as :func:`anomalib_federated.registry.build` takes it.
        screening: The screenings likewise, in their order.
        **arguments: Further arguments of the strategy, not to be repeated in its ``init_args``.

    Raises:
        PluginError: If there is no such plugin, or it takes no such arguments.
        FederationError: If the strategy merges no banks of sites that could be screened.

    Example:
        >>> strategy = build_strategy("concatenate", screening=["finite_and_norm", "row_quota"], seed=3)
        >>> [name for name, _ in strategy.screening], strategy.seed
        (['finite_and_norm', 'row_quota'], 3)
    """
    strategy: BankStrategy = registry.build("strategy", spec, **arguments)
    strategy.screening = build_chain(screening)
    return strategy
