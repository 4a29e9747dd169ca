"""Figures with their intervals as a table on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from anomalib_federated.evaluation.figures import HEADLINES, Figures
from anomalib_federated.evaluation.results import Result
from anomalib_federated.evaluation.undefined import NOT_DEFINED


def print_figures(results: Sequence[Result]) -> None:
    """Print a line per category: each headline figure above its bootstrap interval.

    Args:
        results: Of one method, at least one.
    """
    first = results[0]
    table = Table(title=f"{first.method}, on the test images", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("category\n[dim]good / bad", overflow="fold", min_width=13)
    for heading in HEADLINES.values():
        # As wide as an interval, so that all columns fit into 80 characters.
        table.add_column(heading.replace("@", " @"), justify="right", width=11)
    for result in results:
        counts = result.figures.counts
        label = f"{result.category}\n[dim]{counts.good} / {counts.defective}"
        table.add_row(label, *(_cell(result.figures, name) for name in HEADLINES))
    console = Console()
    console.print(table)
    if first.figures.resamples:
        console.print(
            f"[dim]Below each figure its {first.figures.confidence:.0%} interval: {first.figures.resamples} bootstrap "
            "resamples of the images."
        )


def _cell(figures: Figures, name: str) -> str:
    value = figures.headline(name)
    if value is None:
        return NOT_DEFINED
    interval = figures.intervals.get(name)
    return f"{value:.3f}" if interval is None else f"{value:.3f}\n[dim]{interval.low:.3f}-{interval.high:.3f}"
