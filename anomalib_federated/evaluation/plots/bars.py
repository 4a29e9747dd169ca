"""Grouped bars: a figure of every method on every category, from 0, with the number beside each bar."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from anomalib_federated.evaluation.plots.cells import Cells, cells_of
from anomalib_federated.evaluation.plots.style import (
    FOREGROUND,
    TEXT_POINTS,
    Look,
    area,
    dress,
    in_columns,
    legend,
    legend_height,
    looks,
    named,
    new_figure,
    note,
)
from anomalib_federated.evaluation.results import Result

_BAR_INCHES = 0.165  # a number in 9 points fits beside
_GAP_BARS = 0.9  # between categories


def grouped_bars(results: Sequence[Result], figure: str) -> Figure:
    """Horizontal bars in groups of one category, a bar per method; in two columns when there are many.

    Whiskers are the range of the seeds or, with one seed, the bootstrap interval; the note below says which.

    Args:
        results: Of all methods, categories and seeds.
        figure: A name of :data:`~anomalib_federated.evaluation.figures.HEADLINES`.

    Raises:
        ValueError: If there is nothing to draw or the figure is unknown.
    """
    cells = cells_of(results, figure)
    look_of = looks(cells.methods)
    blocks = in_columns(cells.categories, rows=len(cells.methods))
    bars = len(blocks[0]) * (len(cells.methods) + _GAP_BARS)
    drawing = new_figure(
        bars * _BAR_INCHES + 1.3 + legend_height([named(method) for method in cells.methods]),
        words=f"{cells.words} by category and method, as bars",
    )
    panels = drawing.subplots(1, len(blocks), squeeze=False)[0]
    for axes, categories in zip(panels, blocks, strict=True):
        dress(axes, x=cells.words, grid="x")
        axes.set_xlim(0, 1)
        _draw(axes, cells, categories, look_of)
    legend(drawing, [area(look_of[method], named(method)) for method in cells.methods])
    note(drawing, cells.what_whiskers_mean())
    return drawing


def _draw(axes: Axes, cells: Cells, categories: Sequence[str], look_of: dict[str, Look]) -> None:
    stride = len(cells.methods) + _GAP_BARS
    for place, method in enumerate(cells.methods):
        at = [group * stride + place for group in range(len(categories))]
        row = [cells[method, category] for category in categories]
        valued = [(y, cell.mean) for y, cell in zip(at, row, strict=True) if cell.mean is not None]
        bars = axes.barh(
            [y for y, _ in valued],
            [mean for _, mean in valued],
            height=0.86,
            color=look_of[method].color,
            edgecolor=FOREGROUND,
            linewidth=0.7,
            hatch=look_of[method].hatch,
            label=method,
        )
        for bar in bars:
            bar.set_hatch_linewidth(0.5)
        for y, cell in zip(at, row, strict=True):
            if cell.spread is not None:
                axes.hlines(y, *cell.spread, color="white", linewidth=3.2, zorder=3)
                axes.hlines(y, *cell.spread, color="black", linewidth=1.3, zorder=4)
            _write(axes, y, cell.missing if cell.mean is None else f"{cell.mean:.3f}", missing=cell.mean is None)
    middle = (len(cells.methods) - 1) / 2
    axes.set_yticks([group * stride + middle for group in range(len(categories))], labels=[*map(named, categories)])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim((len(categories) - 1) * stride + len(cells.methods) - 0.3, -0.7)


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
