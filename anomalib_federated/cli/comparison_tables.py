"""Comparisons as tables and sentences on the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from anomalib_federated.evaluation.comparison.compare import Comparison, headline
from anomalib_federated.evaluation.comparison.score_rules import different_rules
from anomalib_federated.evaluation.comparison.tables import (
    HOW_TO_READ,
    MEAN,
    best_cells,
    figure_means,
    figure_table,
    statistics_table,
)
from anomalib_federated.evaluation.comparison.trade_off import TradeOff
from anomalib_federated.evaluation.comparison.trade_off_tables import HOW_TO_READ_TRADE_OFF, trade_off_table
from anomalib_federated.evaluation.results import Result


def print_comparison(results: Sequence[Result], comparisons: Sequence[Comparison]) -> None:
    """Print per figure the values, the statistics and what they say; columns that do not fit go to another table."""
    console = Console(highlight=False)
    if warning := different_rules(results):
        console.print(escape(warning), style="bold red")
    for comparison in comparisons:
        figure, baseline = comparison.figure, comparison.baseline
        console.print(f"[bold]{escape(comparison.label)}")
        best = best_cells(figure_means(results, figure, baseline=baseline))
        table = figure_table(results, figure, baseline=baseline)
        _print_table(console, table[[MEAN, *table.columns.drop(MEAN)]], best)  # the mean, however many categories fit
        if comparison.methods:
            console.print(f"compared with {escape(baseline)}")
            _print_table(console, statistics_table(comparison), None)
        for method in comparison.methods:
            console.print(Padding(escape(" ".join(method.sentences)), (0, 0, 1, 2)))
    console.print(escape(headline(comparisons)), style="bold")
    console.print(f"\n{escape(HOW_TO_READ)}", style="dim")


def print_trade_off(trade: TradeOff) -> None:
    """Print what each method reaches and what it costs."""
    console = Console(highlight=False)
    console.print("\n[bold]Accuracy and its price")
    _print_table(console, trade_off_table(trade), None)
    console.print(escape(" ".join([*trade.notes, HOW_TO_READ_TRADE_OFF])), style="dim")


def _print_table(console: Console, table: pd.DataFrame, best: pd.DataFrame | None) -> None:
    for columns in _that_fit(table, console.width):
        shown = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
        shown.add_column(str(table.index.name), overflow="fold")
        for column in columns:
            shown.add_column(escape(column), justify="right", overflow="fold")
        for method in table.index:
            marks = [best is not None and bool(best.loc[method, column]) for column in columns]
            cells = [str(table.loc[method, column]) for column in columns]
            shown.add_row(
                escape(str(method)), *(_cell(cell, best=mark) for cell, mark in zip(cells, marks, strict=True))
            )
        console.print(shown)


def _that_fit(table: pd.DataFrame, width: int) -> Iterator[list[str]]:
    """Columns side by side, in groups that fit on the terminal next to the first column."""
    first = max(len(str(name)) for name in (table.index.name, *table.index)) + 2
    group: list[str] = []
    used = first
    for column in table.columns:
        lines = [line for cell in table[column] for line in _lines(str(cell))]
        needed = max(len(line) for line in [column, *lines]) + 2
        if group and used + needed > width:
            yield group
            group, used = [], first
        group.append(column)
        used += needed
    yield group


def _lines(cell: str) -> list[str]:
    """The interval of a value goes below it."""
    return cell.replace(" [", "\n[").split("\n")


def _cell(text: str, *, best: bool) -> str:
    value, *rest = _lines(text)
    value = f"[bold green]{escape(value)}[/]" if best else escape(value)
    return "\n".join([value, *(f"[dim]{escape(line)}[/]" for line in rest)])
