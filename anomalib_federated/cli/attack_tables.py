"""A robustness study as tables on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from anomalib_federated.evaluation.robustness.result import CellResult
from anomalib_federated.evaluation.robustness.table import SUCCESSES, attack_table, price_table


def print_study(results: Sequence[CellResult]) -> None:
    """Print per number of bad sites and kind of success a table of attacks by defences, then what defences cost."""
    console = Console(highlight=False)
    for bad in sorted({result.cell.bad for result in results} - {0}):
        for success, value in SUCCESSES.items():
            console.print(_table(attack_table(results, value, bad=bad), f"{success}, worst over shares"))
    console.print(_table(price_table(results), "What defences cost if all sites are honest"))
    console.print(
        "[dim]Of the pictures that the clean bank of the same defence finds at a TNR of 95 %, the share that it misses "
        "under attack. Detector AUROC: mean over all attacks."
    )


def _table(content: pd.DataFrame, title: str) -> Table:
    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column(str(content.index.name), no_wrap=True)
    for column in content.columns:
        table.add_column(escape(column.replace("_", " ")), justify="right", overflow="fold")
    for name, row in content.iterrows():
        table.add_row(escape(str(name)), *(escape(str(value)) for value in row))
    return table
