"""Numbers as the report shows them: means over seeds, how sure they are, and marks of the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import TypeAlias

from anomalib_federated.evaluation.comparison.seed_values import seed_values
from anomalib_federated.evaluation.figures import HEADLINES
from anomalib_federated.evaluation.results import Result

Cells: TypeAlias = Mapping[tuple[str, str], Sequence[Result]]
"""Results by method and category, one per seed, in the order of the seeds."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A figure of one method.

    Attributes:
        value: With three decimals, or ``not defined``.
        spread: Interval or standard deviation; empty if there is none.
        best: Whether no other method shows more.
    """

    value: str
    spread: str = ""
    best: bool = False


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


def show(value: float | None) -> str:
    """A figure with three decimals.

    Example:
        >>> show(0.98765), show(None)
        ('0.988', 'not defined')
    """
    return "not defined" if value is None else f"{value:.3f}"


def mean(values: Sequence[float | None]) -> float | None:
    """Mean, which is defined only if there are values and all are.

    Example:
        >>> mean([0.5, 1.0]), mean([0.5, None]), mean([])
        (0.75, None, None)
    """
    defined = [value for value in values if value is not None]
    return fmean(defined) if defined and len(defined) == len(values) else None


def figure_tables(results: Sequence[Result], methods: Sequence[str], *, first: str) -> list[FigureTable]:
    """A table per headline figure that is defined anywhere.

    Args:
        results: Of all methods, categories and seeds.
        methods: The rows.
        first: Name of the figure whose table comes first.
    """
    names = [first, *(name for name in HEADLINES if name != first)]
    tables = [_figure_table(results, methods, name) for name in names]
    return [table for table in tables if table is not None]


def _figure_table(results: Sequence[Result], methods: Sequence[str], name: str) -> FigureTable | None:
    values = seed_values(results, name)
    if not any(value is not None for seeds in values.values() for value in seeds.values()):
        return None
    cells = cells_of(results)
    columns, means = [], []
    for category in sorted({result.category for result in results}):
        of_methods = [list(values.get((method, category), {}).values()) for method in methods]
        means.append([mean(seeds) for seeds in of_methods])
        spreads = [
            _spread(seeds, cells.get((method, category), ()), name)
            for method, seeds in zip(methods, of_methods, strict=True)
        ]
        columns.append(_column(means[-1], spreads))
    columns.append(_column([mean(row) for row in zip(*means, strict=True)], [""] * len(methods)))
    rows = tuple(zip(methods, zip(*columns, strict=True), strict=True))
    return FigureTable(name=name, title=HEADLINES[name], rows=rows)


def _column(values: Sequence[float | None], spreads: Sequence[str]) -> list[Cell]:
    # Three decimals decide: a difference that is not shown is no reason to mark one method.
    rounded = [None if value is None else round(value, 3) for value in values]
    defined = [value for value in rounded if value is not None]
    best = max(defined) if len(defined) > 1 else None
    return [
        Cell(value=show(value), spread=spread, best=value is not None and value == best)
        for value, spread in zip(rounded, spreads, strict=True)
    ]


def _spread(values: Sequence[float | None], results: Sequence[Result], name: str) -> str:
    defined = [value for value in values if value is not None]
    if len(defined) > 1:
        return f"± {stdev(defined):.3f}"
    interval = results[0].figures.intervals.get(name) if len(results) == 1 else None
    return "" if interval is None else f"{interval.low:.3f} to {interval.high:.3f}"
