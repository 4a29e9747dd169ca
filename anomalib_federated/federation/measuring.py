"""How well a global bank covers the patches of those sites that are online."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping

from flwr.app import Message, MessageType
from flwr.serverapp import Grid

from anomalib_federated.bank import MemoryBank
from anomalib_federated.bank.own_distance import has_own_distance
from anomalib_federated.federation.asking import ask_about
from anomalib_federated.messages.measured import Measured, SiteCovering
from anomalib_federated.messages.replies import site_covering

logger = logging.getLogger(__name__)


def measure_global_bank(grid: Grid, bank: MemoryBank, nodes: Mapping[str, int], *, timeout: float = 3600) -> Measured:
    """Have the sites that are online measure a global bank.

    Args:
        grid: Reaches the sites.
        bank: The global bank, of any strategy.
        nodes: Node id of each site that has one; sites of the bank that are not in it are left out.
        timeout: Seconds to wait for all answers.

    Returns:
        What they measured, over which sites, and why others are left out; ``applied_to(bank)`` is the bank with it.
        No site is asked about a bank that has no covering radius, or under whose promise none may be told.
    """
    if reason := _why_not(bank):
        logger.info("The global bank is not measured: %s.", reason)
        return Measured.of({}, left_out=dict.fromkeys(bank.sites, reason))
    rows = {category: len(bank.for_category(category)) for category in bank.categories}

    def read(reply: Message, categories: Collection[str]) -> dict[str, SiteCovering]:
        return site_covering(reply, {category: rows[category] for category in categories})

    answers = ask_about(bank, grid, nodes, kind=MessageType.EVALUATE, read=read, timeout=timeout)
    for site, reason in answers.left_out.items():
        logger.warning("Site %s did not measure the global bank: %s", site, reason)
    return Measured.of(answers.of, left_out=answers.left_out, traffic=answers.traffic)


def _why_not(bank: MemoryBank) -> str:
    """Why no site may or can measure a bank; empty if all can."""
    for category in bank.categories:
        if has_own_distance(bank, category):
            return (
                f"distances of category '{category}' are measured by places or a projection of its own, while a "
                "covering radius is told in the full feature space"
            )
    if any(report.per_picture for report in bank.privacy.values()):
        return "a promise was made about each picture behind it, and a covering radius is measured without noise"
    return ""
