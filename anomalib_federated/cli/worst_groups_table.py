"""The worst groups of each method, beside the means of a comparison."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape

from anomalib_federated.cli.plain_table import plain_table
from anomalib_federated.evaluation.fairness.across import across_categories
from anomalib_federated.evaluation.fairness.fairness_file import of_cell
from anomalib_federated.evaluation.fairness.figures import FIGURES, By, Fairness, Indices
from anomalib_federated.evaluation.fairness.seeds import over_seeds
from anomalib_federated.evaluation.results import Result
from anomalib_federated.evaluation.undefined import mean, show

WORST_OF = ("auc_spro@0.05", "image_auroc")
"""The figures that commands show of the worst groups."""

ORDER: tuple[By, ...] = ("group", "site", "defect type")


def print_worst_groups(results: Sequence[Result], measured: Sequence[Fairness], figures: Sequence[str]) -> None:
    """Print per figure and method the worst group of all categories, and the mean gap; nothing where nobody has groups.

    Args:
        results: Compared.
        measured: What lies beside them; may be empty.
        figures: Compared; those that groups do not have are passed over.
    """
    console = Console(highlight=False)
    for figure in (figure for figure in figures if figure in FIGURES):
        table = plain_table("method", "by", "worst", numbers=("value", "mean gap"))
        for method in sorted({result.method for result in results}):
            for by, worst, indices in _lines(results, measured, method, figure):
                gap = mean([own.gap for own in indices])
                table.add_row(
                    escape(method), by, escape(worst), show(min(own.worst_value for own in indices)), show(gap)
                )
        if table.row_count:
            console.print(f"[bold]{escape(FIGURES[figure])}[/] in the worst group")
            console.print(table)


def _lines(
    results: Sequence[Result], measured: Sequence[Fairness], method: str, figure: str
) -> list[tuple[By, str, list[Indices]]]:
    """Per division its name, where the method is at its worst, and its indices of each category."""
    lines: list[tuple[By, str, list[Indices]]] = []
    if indices := across_categories(results, method).get(figure):
        lines.append(("category", indices.worst, [indices]))
    for by in ORDER:
        found = _by_category(measured, method, by, figure)
        if found:
            category = min(found, key=lambda name: (found[name].worst_value, name))
            lines.append((by, f"{category}: {found[category].worst}", list(found.values())))
    return lines


def _by_category(measured: Sequence[Fairness], method: str, by: By, figure: str) -> dict[str, Indices]:
    found = {}
    for category in sorted({one.category for one in measured if one.method == method}):
        own = [division for one in of_cell(measured, method, category) if (division := one.by(by)) is not None]
        indices = over_seeds(own).indices.get(figure) if own else None
        if indices is not None:
            found[category] = indices
    return found
