"""Grouped bars: a figure of every method on every category, from 0, with the number beside each bar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from anomalib_federated.evaluation.plots.cells import Cell, cells_of
from anomalib_federated.evaluation.plots.rows import GroupedRows
from anomalib_federated.evaluation.plots.style import (
    FOREGROUND,
    TEXT_POINTS,
    Look,
    area,
    dress,
    legend,
    looks,
    named,
    note,
)
from anomalib_federated.evaluation.results import Result


def grouped_bars(results: Sequence[Result], figure: str) -> Figure:
    """Horizontal bars in groups of one category, a bar per method; in two columns when there are many.

    Whiskers are the range of the seeds or, with one seed, the bootstrap interval; the note below says which.

    Args:
        results: Of all methods, categories and seeds.
        figure: One of :func:`~anomalib_federated.evaluation.seed_values.figure_labels`.

    Raises:
        ValueError: If there is nothing to draw or the figure is unknown.
    """
    cells = cells_of(results, figure)
    look_of = looks(cells.methods)
    rows = GroupedRows(methods=cells.methods, categories=cells.categories)
    drawing, panels = rows.panels(beside=1.3, words=f"{cells.words} by category and method, as bars")
    for axes, categories in panels:
        dress(axes, x=cells.words, grid="x")
        axes.set_xlim(0, 1)
        for place, method in enumerate(cells.methods):
            of_method = {rows.at(group, place): cells[method, category] for group, category in enumerate(categories)}
            _draw(axes, of_method, look_of[method], label=method)
        rows.label(axes, categories)
    legend(drawing, [area(look_of[method], named(method)) for method in cells.methods])
    note(drawing, cells.what_whiskers_mean())
    return drawing


def _draw(axes: Axes, cells: Mapping[float, Cell], look: Look, *, label: str) -> None:
    """The bars of a method, by height."""
    valued = {y: cell.mean for y, cell in cells.items() if cell.mean is not None}
    bars = axes.barh(
        list(valued),
        list(valued.values()),
        height=0.86,
        color=look.color,
        edgecolor=FOREGROUND,
        linewidth=0.7,
        hatch=look.hatch,
        label=label,
    )
    for bar in bars:
        bar.set_hatch_linewidth(0.5)
    for y, cell in cells.items():
        if cell.spread is not None:
            axes.hlines(y, *cell.spread, color="white", linewidth=3.2, zorder=3)
            axes.hlines(y, *cell.spread, color="black", linewidth=1.3, zorder=4)
        _write(axes, y, cell.missing if cell.mean is None else f"{cell.mean:.3f}", missing=cell.mean is None)


def _write(axes: Axes, y: float, text: str, *, missing: bool) -> None:
    axes.annotate(
        text,
        (0.0 if missing else 1.0, y),
        xytext=(4, 0),
        textcoords="offset points",
        ha="left",
        va="center_baseline",
        fontsize=TEXT_POINTS,
        color=FOREGROUND,
        annotation_clip=False,
    )
