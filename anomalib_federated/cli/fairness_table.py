"""Figures of groups as tables on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from anomalib_federated.evaluation.fairness.figures import FIGURES, SHOWN, By, DividedFigures, Fairness, GroupFigures
from anomalib_federated.evaluation.fairness.words import sentence
from anomalib_federated.evaluation.undefined import NOT_DEFINED

ASKED: tuple[By, ...] = ("site", "group")
"""Divisions that somebody asked for; defect types are in the file and the report."""


def print_fairness(measured: Sequence[Fairness]) -> None:
    """Print a table per category and division: a line per group, the worst marked, and what the gaps are."""
    console = Console(highlight=False)
    for fairness in measured:
        for division in fairness.divisions:
            if division.by in ASKED:
                console.print(_table(fairness, division))
                for figure in SHOWN:
                    if figure in division.indices:
                        words = sentence(
                            figure, division.indices[figure], by=division.by, confidence=fairness.confidence
                        )
                        console.print(escape(words), style="dim")
                if division.of_no_group:
                    console.print(f"{division.of_no_group} test images are of no {division.by}.", style="dim")


def _table(fairness: Fairness, division: DividedFigures) -> Table:
    title = escape(f"{fairness.method}, {fairness.category} by {division.by}")
    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column(f"{division.by}\n[dim]good / bad", overflow="fold", min_width=13)
    for figure in SHOWN:
        table.add_column(FIGURES[figure].replace("@", " @"), justify="right", width=11)
    for group in division.groups:
        label = f"{escape(group.name)}\n[dim]{group.good} / {group.defective}"
        table.add_row(label, *(_cell(group, figure, division) for figure in SHOWN))
    return table


def _cell(group: GroupFigures, figure: str, division: DividedFigures) -> str:
    value, interval = group.figures.get(figure), group.intervals.get(figure)
    if value is None:
        return NOT_DEFINED
    indices = division.indices.get(figure)
    worst = indices is not None and indices.gap > 0 and indices.worst == group.name
    text = f"[bold red]{value:.3f}[/]" if worst else f"{value:.3f}"
    return text if interval is None else f"{text}\n[dim]{interval.low:.3f}-{interval.high:.3f}"
