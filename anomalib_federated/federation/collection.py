"""Collection over time: each site's bank is gathered whenever the site is online, and is on disk as soon as it came.

The server may be killed at any moment: started again on the same folder, it asks only the sites that are missing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from flwr.serverapp import Grid

from anomalib_federated.federation.collection_plan import CollectionPlan
from anomalib_federated.federation.folder import FederationFolder
from anomalib_federated.federation.gathering import Gathering
from anomalib_federated.federation.sweeper import Sweeper
from anomalib_federated.interfaces.strategy import FederationError
from anomalib_federated.progress import progress_bar

UPLOADS = 16
"""That are waited for at the same time, at most."""
UPLOADED_BYTES = 256 << 20
"""That they may have taken of memory, unless two banks have more: the upload of a site that was killed is waited for by
Flower for minutes, and holds what has come of it."""
PATIENCE, LONGEST_PATIENCE = 10.0, 120.0
"""Seconds for which an upload is waited for alone: of a bank without rows, and of any."""
SLOW = 4 << 20
"""Bytes per second of an upload that is still waited for alone."""


@dataclass(frozen=True, kw_only=True)
class Collected:
    """How a collection ended.

    Attributes:
        sites: Names of the sites whose bank is in the folder, sorted; those of earlier runs included.
        missing: Per expected site that is not in, why.
        kept: Per site of which a new bank was wanted, but the one before is still in, why.
        strangers: Per node that stands for no site that is known, why there is no bank of it.
        received: Per site that sent a bank in this collection, and category, the bytes of bank that came.
        asked: Per site that sent a bank in this collection, how often its node was asked.
        seconds: Time it took.
    """

    sites: tuple[str, ...]
    missing: Mapping[str, str]
    kept: Mapping[str, str]
    strangers: Mapping[int, str]
    received: Mapping[str, Mapping[str, int]]
    asked: Mapping[str, int]
    seconds: float


def collect(
    grid: Grid,
    folder: FederationFolder,
    plan: CollectionPlan,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> Collected:
    """Gather the sites' banks into a federation's folder until all expected ones are in, or the deadline is over.

    Every valid bank goes to disk at once and is then dropped from memory. Who fails or sends what is refused is asked
    again after a while; nobody waits for anybody else, not even for a site that was killed in the middle of its upload.

    Args:
        grid: Reaches the sites.
        folder: The federation's folder; its agreement is what the sites are asked for. Sites whose bank is in are not
            asked again, unless the plan says so.
        plan: How long to wait for whom.
        clock: Tells the time in seconds, from any start.
        sleep: Waits as many seconds.

    Returns:
        Who is in, who is missing and why.

    Raises:
        FederationError: If a site is expected that was removed, or fewer banks than the quorum are in at the deadline;
            what came is kept in the folder.
        FolderError: If the folder is damaged.
    """
    statuses = folder.statuses()
    if gone := [site for site in plan.sites if site in statuses and statuses[site].state == "removed"]:
        msg = (
            f"Site '{gone[0]}' is expected, but was removed from {folder.path}; expect it no more, or have it back by "
            "adding its file with 'anomalib-federated bank add'."
        )
        raise FederationError(msg)
    began = clock()
    gathering = Gathering(grid, folder, plan, clock=clock, deadline=began + plan.deadline)
    size = folder.agreement.max_bytes
    sweeper = Sweeper(gathering.steps, clock=clock, patience=_patience(size), most=_side_by_side(size))
    try:
        with progress_bar("banks of sites", total=len(plan.sites) or plan.quorum) as advance:
            shown = 0
            while not gathering.complete and (left := began + plan.deadline - clock()) > 0:
                sweeper.sweep()
                sleep(min(plan.poll, left))
                advance(len(gathering.sites) - shown)
                shown = len(gathering.sites)
    finally:
        sweeper.stop()
        gathering.close()
    collected = Collected(
        sites=gathering.sites,
        missing=gathering.note_missing(),
        kept=gathering.note_kept(),
        strangers=gathering.strangers(),
        received=gathering.received,
        asked=gathering.asked,
        seconds=clock() - began,
    )
    if len(set(collected.sites) & set(plan.sites or collected.sites)) < plan.quorum:
        raise FederationError(_too_few(collected, folder, plan))
    return collected


def _patience(size: int) -> float:
    """Seconds for which the upload of a bank of at most so many bytes is waited for before others go on beside it."""
    return min(LONGEST_PATIENCE, PATIENCE + size / SLOW)


def _side_by_side(size: int) -> int:
    """Uploads that may be waited for at the same time: of small banks many, of large ones two."""
    return max(2, min(UPLOADS, UPLOADED_BYTES // size))


def _too_few(collected: Collected, folder: FederationFolder, plan: CollectionPlan) -> str:
    inside = [site for site in collected.sites if site in (plan.sites or collected.sites)]
    reasons = [f"{site}: {why}" for site, why in collected.missing.items()]
    reasons += [f"node {node}: {why}" for node, why in collected.strangers.items()]
    return (
        f"{len(inside)} of the {plan.quorum} banks that are needed came within {plan.deadline:g} s "
        f"({', '.join(inside) or 'none'}). Missing: {' '.join(reasons) or 'no further site was online.'} "
        f"What came is kept in {folder.path}: start the server again to ask those that are missing, "
        "or set a smaller quorum."
    )
