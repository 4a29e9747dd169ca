"""Curves of a study: success over the share of rows that are the attack's."""

from __future__ import annotations

from collections.abc import Sequence

from anomalib_federated.evaluation.plots.attack_curves import Curves
from anomalib_federated.evaluation.robustness.result import CellResult
from anomalib_federated.evaluation.robustness.study import CLEAN
from anomalib_federated.evaluation.robustness.table import Value


def curves_of(results: Sequence[CellResult], value: Value, *, bad: int) -> Curves:
    """Points of each attack and defence, in the order of shares.

    Args:
        results: Of all cells.
        value: Of a result; where it is not defined there is no point.
        bad: Number of bad sites.
    """
    curves: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for result in sorted(results, key=lambda result: result.cell.share):
        cell, found = result.cell, value(result)
        if cell.bad == bad and cell.attack != CLEAN and found is not None:
            curves.setdefault(cell.attack, {}).setdefault(cell.defence, []).append((cell.share, found))
    return {attack: curves[attack] for attack in dict.fromkeys(r.cell.attack for r in results) if attack in curves}
