"""How faithful explanations are, as a table on the terminal."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from anomalib_federated.evaluation.faithfulness.figures import FaithfulnessResult
from anomalib_federated.evaluation.faithfulness.texts import COLUMNS, FaithfulnessCell, cells_of, notes_of

WIDTHS = (9, 9, 9, 9, 6, 8, 5)
"""Of the columns; with the names of the explainers they fit into 80 characters."""


def print_faithfulness(result: FaithfulnessResult) -> None:
    """Print a line per method, and what the figures rest on."""
    console = Console(highlight=False)
    title = escape(f"Explanations of {result.category}, measured")
    table = Table(title=title, box=SIMPLE_HEAD, padding=0)
    table.add_column("explainer", overflow="fold", min_width=14)
    for column, width in zip(COLUMNS, WIDTHS, strict=True):
        table.add_column(column, justify="right", width=width)
    for method in result.methods:
        table.add_row(escape(method.explainer), *map(_text, cells_of(method)))
    console.print(table)
    for note in notes_of(result):
        console.print(escape(note), style="dim")


def _text(cell: FaithfulnessCell) -> str:
    value = f"[bold red]{cell.value}[/]" if cell.failed else cell.value
    below = cell.below.strip("[]").replace(", ", "-")
    return f"{value}\n[dim]{below}" if below else value
