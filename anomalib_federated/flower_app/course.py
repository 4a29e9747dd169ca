"""The course of a deployed federation: collect or exchange, aggregate, measure, evaluate; all of it into its folder."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable

from flwr.serverapp import Grid
from pydantic_core import to_jsonable_python

from anomalib_federated.bank import MemoryBank
from anomalib_federated.federation import run_federation
from anomalib_federated.federation.collection import collect
from anomalib_federated.federation.folder import FederationFolder, Version
from anomalib_federated.federation.folder.unchanged import unchanged_version
from anomalib_federated.federation.gathering import UNREACHABLE
from anomalib_federated.federation.measuring import measure_global_bank
from anomalib_federated.federation.scores import FederatedScores
from anomalib_federated.federation.scoring import score_global_bank
from anomalib_federated.federation.settings import FederationSettings
from anomalib_federated.files import write_file
from anomalib_federated.interfaces.strategy import BankStrategy, FederationError
from anomalib_federated.messages import traffic
from anomalib_federated.messages.agreement import Agreement
from anomalib_federated.messages.measured import Measured
from anomalib_federated.messages.traffic import Traffic, TrafficBySite
from anomalib_federated.untrusted import said

logger = logging.getLogger(__name__)

EVALUATION = "evaluation.json"
"""File beside a version's bank: what the sites measured of it, whom nobody heard of, and the bytes of all messages."""


def take_course(grid: Grid, settings: FederationSettings) -> Version:
    """Run a federation.

    A strategy of one exchange gathers banks over days; its sites may come and go. One of several rounds needs all
    expected sites online at the same time.

    Args:
        grid: Reaches the sites.
        settings: The centre's settings.

    Returns:
        The version of the global bank that came out, measured by those sites that were online at the end. It is the
        last one if nothing has changed since.

    Raises:
        FederationError: If too few sites took part; what came is kept in the folder.
        FolderError: If the folder is of another agreement, or damaged.
    """
    strategy, agreement = settings.make_strategy(), settings.agreement()
    folder = FederationFolder.create(settings.output, agreement)
    strategy.agree(agreement.to_record())
    if strategy.rounds == 1 and strategy.merges_banks:
        sent = _collect(grid, folder, settings)
        version = _aggregate(folder, strategy, settings)
    else:
        version, sent = _exchange(grid, folder, strategy, agreement, settings)
    return _evaluate(grid, folder, version, settings, sent=sent)


def _collect(grid: Grid, folder: FederationFolder, settings: FederationSettings) -> TrafficBySite:
    collected = collect(grid, folder, settings.plan())
    return {
        site: {category: Traffic(up=count) for category, count in received.items()}
        for site, received in collected.received.items()
    }


def _exchange(
    grid: Grid, folder: FederationFolder, strategy: BankStrategy, agreement: Agreement, settings: FederationSettings
) -> tuple[Version, TrafficBySite]:
    """Rounds with all sites; banks that they sent go to the folder, to be aggregated again with or without them."""
    if strategy.merges_banks and not strategy.keeps_site_banks:
        msg = (
            f"The strategy {type(strategy).__name__} leaves no banks of sites that could be aggregated again, so it "
            "has no place in a federation folder; use another, or run it in one process: anomalib-federated federate."
        )
        raise FederationError(msg)
    wait_for_sites(grid, settings)
    federation = run_federation(grid, strategy, agreement, timeout=settings.patience)
    if unexpected := sorted(set(strategy.nodes) - set(settings.sites)):
        msg = f"Site '{unexpected[0]}' took part, but is not among those expected: {', '.join(settings.sites)}."
        raise FederationError(msg)
    if not strategy.merges_banks:
        return folder.keep(federation.bank, strategy, spec=settings.strategy), federation.traffic
    for site, bank in federation.site_banks.items():
        sent = sum(each.up for each in federation.traffic[site].values())
        folder.accept(bank, site=site, via="flower", node=strategy.nodes[site], sent=sent)
    return _aggregate(folder, strategy, settings), federation.traffic


def _aggregate(folder: FederationFolder, strategy: BankStrategy, settings: FederationSettings) -> Version:
    screening = settings.screening
    if version := unchanged_version(folder, spec=settings.strategy, screening=screening, seed=strategy.seed):
        logger.info("Nothing has changed since version %d, so no other is made.", version.number)
        return version
    return folder.aggregate(strategy, spec=settings.strategy, screening=screening)


def wait_for_sites(
    grid: Grid,
    settings: FederationSettings,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> None:
    """Wait until as many nodes are online as sites are expected.

    Args:
        grid: Lists the nodes.
        settings: Who is expected, and until when.
        clock: Tells the time in seconds, from any start.
        sleep: Waits as many seconds.

    Raises:
        FederationError: If they are not at the deadline.
    """
    until = clock() + settings.deadline
    while (online := _count_online(grid)) < len(settings.sites):
        if clock() >= until:
            msg = (
                f"{online} of {len(settings.sites)} sites were online within {settings.deadline:g} s; a strategy of "
                "several rounds needs all of them at the same time."
            )
            raise FederationError(msg)
        sleep(settings.poll)


def _count_online(grid: Grid) -> int:
    try:
        return len(list(grid.get_node_ids()))
    except UNREACHABLE as error:
        logger.warning("Who is online cannot be seen now: %s", error)
        return 0


def _evaluate(
    grid: Grid, folder: FederationFolder, version: Version, settings: FederationSettings, *, sent: TrafficBySite
) -> Version:
    """Have the sites that are online measure the bank on their patches, and score it on their test pictures."""
    bank = folder.version_bank(version.number)
    measured = _measure(grid, folder, bank, settings)
    if measured.by:
        bank = measured.applied_to(bank)
        version = _record(folder, version, bank, measured)
    scores = _score(grid, folder, bank, settings)
    total: TrafficBySite = {}
    for part in (sent, measured.traffic, scores.traffic):
        for site, more in part.items():
            traffic.add(total, site, more)
    told = {
        "radius": measured.radius,
        "radius_of": measured.radius_of,
        "measured_by": measured.by,
        "not_measured_by": measured.left_out,
        "scores": scores.sites,
        "not_scored_by": scores.left_out,
        "bytes": total,
    }
    data = json.dumps(to_jsonable_python(told), indent=2, allow_nan=False)
    write_file(folder.version_path(version.number).with_name(EVALUATION), data.encode())
    return version


def _measure(grid: Grid, folder: FederationFolder, bank: MemoryBank, settings: FederationSettings) -> Measured:
    try:
        return measure_global_bank(grid, bank, _nodes(grid, folder), timeout=settings.patience)
    except UNREACHABLE as error:
        return Measured.of({}, left_out=_unheard(bank, error))


def _score(grid: Grid, folder: FederationFolder, bank: MemoryBank, settings: FederationSettings) -> FederatedScores:
    scorer = settings.model.scorer
    try:
        return score_global_bank(grid, bank, _nodes(grid, folder), scorer=scorer, timeout=settings.patience)
    except UNREACHABLE as error:
        return FederatedScores(sites={}, left_out=_unheard(bank, error), traffic={})


def _record(folder: FederationFolder, version: Version, bank: MemoryBank, measured: Measured) -> Version:
    """Note what was measured; of a version that was measured before, what more sites said of a category stays."""
    radius, by = dict(measured.radius), dict(measured.by)
    if earlier := version.measured:
        for category, sites in earlier.by.items():
            if not set(sites) <= set(by.get(category, ())):
                radius[category], by[category] = earlier.radius[category], sites
    return folder.record_measurement(version.number, bank, radius=radius, by=by)


def _unheard(bank: MemoryBank, error: Exception) -> dict[str, str]:
    """Why there is no answer of any site: the global bank is made, and is not lost with the connection."""
    why = f"the SuperLink could not be reached ({said(str(error)) or type(error).__name__})"
    logger.warning("No site was heard on the global bank: %s", why)
    return dict.fromkeys(sorted(bank.sites), why)


def _nodes(grid: Grid, folder: FederationFolder) -> dict[str, int]:
    """Node id of each site whose bank is in: of the node registered under its name, else of the one that sent it."""
    statuses = folder.statuses()
    senders = {status.node for status in statuses.values()}
    # Of several nodes of one name the one that sent the bank is taken, else the last.
    nodes = sorted(grid.get_nodes(), key=lambda node: (node.node_id in senders, node.node_id))
    named = {node.name: node.node_id for node in nodes if node.name}
    return {
        site: node
        for site, status in statuses.items()
        if status.bank and (node := named.get(site, status.node)) is not None
    }
