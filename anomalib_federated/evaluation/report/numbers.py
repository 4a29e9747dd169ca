"""Numbers as the report shows them: the tables of a comparison, and results sorted into cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from anomalib_federated.evaluation.comparison.tables import best_cells, figure_means, figure_texts
from anomalib_federated.evaluation.figures import HEADLINES
from anomalib_federated.evaluation.results import Result

Cells: TypeAlias = Mapping[tuple[str, str], Sequence[Result]]
"""Results by method and category, one per seed, in the order of the seeds."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A figure of one method.

    Attributes:
        value: With three decimals, or why there is none.
        spread: Interval or standard deviation; empty if there is none.
        best: Whether no other method shows more.
    """

    value: str
    spread: str
    best: bool


@dataclass(frozen=True, kw_only=True)
class FigureTable:
    """One figure of all methods (rows) on all categories (columns), and their mean.

    Attributes:
        name: Of the figure, as :data:`HEADLINES` has it.
        title: In words.
        rows: Method and its cells; the last cell is the mean.
    """

    name: str
    title: str
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]


def cells_of(results: Sequence[Result]) -> dict[tuple[str, str], list[Result]]:
    """Sort results into cells of method and category, by seed."""
    cells: dict[tuple[str, str], list[Result]] = {}
    for result in sorted(results, key=lambda result: (result.method, result.category, result.seed)):
        cells.setdefault((result.method, result.category), []).append(result)
    return cells


def figure_tables(results: Sequence[Result], *, baseline: str, first: str) -> list[FigureTable]:
    """A table per headline figure that is defined anywhere.

    Args:
        results: Of all methods, categories and seeds.
        baseline: The method of the first row.
        first: Name of the figure whose table comes first.
    """
    tables = [_figure_table(results, name, baseline) for name in dict.fromkeys([first, *HEADLINES])]
    return [table for table in tables if table is not None]


def _figure_table(results: Sequence[Result], name: str, baseline: str) -> FigureTable | None:
    means = figure_means(results, name, baseline=baseline)
    if means.isna().all(axis=None):
        return None
    (values, spreads), best = figure_texts(results, name, baseline=baseline), best_cells(means)
    rows = {
        method: tuple(
            Cell(
                value=values.loc[method, column],
                spread=spreads.loc[method, column],
                best=bool(best.loc[method, column]),
            )
            for column in means.columns
        )
        for method in means.index
    }
    return FigureTable(name=name, title=HEADLINES[name], rows=tuple(rows.items()))
