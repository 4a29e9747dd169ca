"""The Flower server app: one federation, whatever grid carries it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from flwr.app import ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp

from anomalib_federated.bank import MemoryBank
from anomalib_federated.interfaces.refused import Refused
from anomalib_federated.interfaces.strategy import BankStrategy, FederationError
from anomalib_federated.messages.agreement import Agreement
from anomalib_federated.messages.bank_arrays import bank_of
from anomalib_federated.messages.traffic import TrafficBySite


@dataclass(frozen=True)
class Federation:
    """What came out of a federation.

    Attributes:
        bank: The global bank, with its covering radius and weights over all sites' patches; without, if something was
            promised about their pictures, so that nobody measured.
        traffic: Per site and category, the bytes of all messages; see :mod:`anomalib_federated.messages.traffic`.
        seconds: Wall time.
        site_banks: Per site, the bank that it sent, rows that were refused among them.
        refused: What the screenings refused.
    """

    bank: MemoryBank
    traffic: TrafficBySite
    seconds: float
    site_banks: dict[str, MemoryBank]
    refused: tuple[Refused, ...] = ()


def run_federation(grid: Grid, strategy: BankStrategy, agreement: Agreement, *, timeout: float = 3600) -> Federation:
    """Collect the sites' banks, aggregate them, and have the sites measure the result.

    Args:
        grid: Reaches the sites.
        strategy: Aggregates their banks.
        agreement: What the sites are asked for.
        timeout: Seconds to wait for the sites in each exchange.

    Raises:
        FederationError: If a site fails or does not answer in time.
        BankError: If a site's bank is not valid, not what was agreed, or does not fit the others.
        MessageError: If a site's message lacks what was asked for, or reports nonsense.
    """
    began = time.perf_counter()
    config = agreement.to_record()
    strategy.agree(config)  # on it may depend how many rounds there are
    result = strategy.start(grid, ArrayRecord(), num_rounds=strategy.rounds, timeout=timeout, train_config=config)
    bank = bank_of(result.arrays)
    promised = any(promise.per_picture for promise in bank.privacy.values())
    if strategy.measured is None and not promised:
        msg = f"The strategy {type(strategy).__name__} ended before the sites measured its bank; allow more rounds."
        raise FederationError(msg)
    return Federation(
        bank=strategy.measured.applied_to(bank) if strategy.measured else bank,
        traffic=strategy.traffic,
        seconds=time.perf_counter() - began,
        site_banks=strategy.banks_received,
        refused=strategy.refused,
    )


def server_app(
    strategy: BankStrategy, agreement: Agreement, *, deliver: Callable[[Federation], None], timeout: float = 3600
) -> ServerApp:
    """Make the app.

    Args:
        strategy: Aggregates the sites' banks.
        agreement: What the sites are asked for.
        deliver: Gets the result.
        timeout: Seconds to wait for the sites in each exchange.

    Returns:
        An app that runs one federation.
    """
    app = ServerApp()

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        del context
        deliver(run_federation(grid, strategy, agreement, timeout=timeout))

    return app
