"""A fairness rule in the place of a coreset: it chooses a site's rows by the groups of their pictures."""

from __future__ import annotations

import logging
import time

from anomalib_federated.interfaces.coreset import Selection
from anomalib_federated.interfaces.fairness import Fairness
from anomalib_federated.models.patch_groups import PatchGroups
from anomalib_federated.selection.budget import Budget
from anomalib_federated.selection.covering import measure_picks
from anomalib_federated.selection.rows import Rows

logger = logging.getLogger(__name__)


def select_fairly(fairness: Fairness, rows: Rows, groups: PatchGroups, *, budget: Budget, seed: int) -> Selection:
    """Choose rows by a fairness rule, and measure how well they stand for all, as for coresets.

    Args:
        fairness: The rule.
        rows: Finite features of shape ``(n, d)``.
        groups: Those of the rows.
        budget: How many rows are kept: a number or a share.
        seed: Decides every random choice.

    Returns:
        As many rows as the budget says; radius, mean distance and weights count the nearest row kept, of whatever
        group it is.

    Raises:
        ValueError: If the budget is a target radius, or the rule refuses it.
        PluginError: If the plugin answers what is no such selection.

    Example:
        >>> import torch
        >>> from anomalib_federated import registry
        >>> from anomalib_federated.selection.rows import TensorRows
        >>> features = torch.cat([torch.zeros(1, 2), torch.randn(99, 2, generator=torch.Generator().manual_seed(0))])
        >>> groups = PatchGroups(names=("dark", "light"), numbers=(torch.arange(100) > 0).long())
        >>> rule = registry.build("fairness", "equal")
        >>> chosen = select_fairly(rule, TensorRows(features), groups, budget=Budget.of(10), seed=0)
        >>> 0 in chosen.indices, len(chosen.indices), int(chosen.weights.sum())
        (True, 10, 100)
    """
    check_budget(budget)
    began, before = time.perf_counter(), rows.passes
    chosen = fairness.select(rows, groups.numbers, budget=budget.limit(len(rows)), seed=seed)
    covering = measure_picks(rows, chosen.indices)
    for name, count, radius, own in zip(
        groups.names, chosen.quotas.tolist(), chosen.radius.tolist(), chosen.own_radius.tolist(), strict=True
    ):
        logger.info("Group %s: %d rows kept, radius %.4g, to its own rows %.4g", name, count, radius, own)
    return Selection(
        indices=chosen.indices,
        radius=covering.radius,
        mean_distance=covering.mean_distance,
        weights=covering.weights,
        seconds=time.perf_counter() - began,
        passes=rows.passes - before,
    )


def check_budget(budget: Budget) -> None:
    """Refuse a budget out of which no quotas can be made.

    Raises:
        ValueError: If it is a target radius.
    """
    if budget.radius is not None:
        msg = (
            "A fairness rule shares a number of rows among groups, so it cannot select rows until they cover all "
            f"within {budget.radius:g}; give a number or a share as the budget."
        )
        raise ValueError(msg)
