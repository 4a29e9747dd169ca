"""Figures on clean and on corrupted pictures as a table on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from anomalib_federated.evaluation.corrupted import FIGURES, SHOWN, Corrupted, clean_figures
from anomalib_federated.evaluation.results import Result
from anomalib_federated.evaluation.undefined import show


def print_corrupted(results: Sequence[Result], corrupted: Sequence[Corrupted]) -> None:
    """Print per category a line for the clean pictures and one for each corruption.

    Args:
        results: On clean pictures.
        corrupted: Of the same method, categories and seeds, in the same order.
    """
    console = Console()
    for result, changed in zip(results, corrupted, strict=True):
        table = Table(title=f"{result.method} on {result.category}, corrupted", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        table.add_column("pictures", overflow="fold", min_width=8)
        for name in SHOWN:
            table.add_column(FIGURES[name], justify="right", min_width=9)
        clean = clean_figures(result)
        table.add_row("clean", *(show(clean[name]) for name in SHOWN))
        for level in changed.levels:
            table.add_row(escape(level.name), *(show(level.figures[name]) for name in SHOWN))
        console.print(table)
