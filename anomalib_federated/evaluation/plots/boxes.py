"""Box plot: how a figure of each method spreads over categories and seeds, every value shown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from anomalib_federated.evaluation.plots.cells import Cells, cells_of
from anomalib_federated.evaluation.plots.style import (
    FOREGROUND,
    TEXT_POINTS,
    Look,
    dress,
    looks,
    named,
    new_figure,
    note,
    share_limits,
    with_start,
)
from anomalib_federated.evaluation.results import Result

FEWEST = 5
"""Values from which a box is drawn: quartiles of fewer say nothing that the points do not."""


def box_plot(results: Sequence[Result], figure: str) -> Figure:
    """A row per method: box from quartile to quartile with the median, whiskers to the extremes, all values on top.

    Args:
        results: Of all methods, categories and seeds.
        figure: One of :func:`~anomalib_federated.evaluation.seed_values.figure_labels`.

    Raises:
        ValueError: If there is nothing to draw or the figure is unknown.
    """
    cells = cells_of(results, figure)
    look_of = looks(cells.methods)
    by_method = {method: _values(cells, method) for method in cells.methods}
    drawing = new_figure(0.5 * len(cells.methods) + 1.6, words=f"{cells.words} by method, as box plot")
    axes = drawing.subplots()
    low, high = share_limits(cells.values)
    dress(axes, x=with_start(cells.words, low), grid="x")
    margin = 0.01 * (high - low)
    axes.set_xlim(low - (margin if low else 0), high + margin)
    for row, (method, values) in enumerate(by_method.items()):
        _draw(axes, row, values, look_of[method])
    axes.set_yticks(range(len(by_method)), labels=[_label(method, values) for method, values in by_method.items()])
    axes.set_ylim(len(by_method) - 0.4, -0.6)
    several = any(len(cell.values) > 1 for cell in cells.by_place.values())
    fewer = [values for values in by_method.values() if len(values) < FEWEST]
    note(
        drawing,
        "A point is one category and seed (n in all)." if several else "A point is one category (n in all).",
        "Boxes reach from quartile to quartile, whiskers to the extremes." if len(fewer) < len(by_method) else "",
        f"Fewer than {FEWEST} values get no box; the line is their median." if fewer else "The line is the median.",
    )
    return drawing


def _values(cells: Cells, method: str) -> list[float]:
    return [value for category in cells.categories for value in cells[method, category].values]


def _label(method: str, values: Sequence[float]) -> str:
    return f"{named(method)} (n = {len(values)})"


def _draw(axes: Axes, row: int, values: Sequence[float], look: Look) -> None:
    if not values:
        axes.annotate(
            "no value",
            (0.01, row),
            xycoords=("axes fraction", "data"),
            va="center_baseline",
            fontsize=TEXT_POINTS,
            color=FOREGROUND,
        )
        return
    if len(values) >= FEWEST:
        axes.boxplot(
            [list(values)],
            positions=[row],
            orientation="horizontal",
            widths=0.56,
            whis=(0, 100),
            patch_artist=True,
            manage_ticks=False,
            boxprops={"facecolor": look.color, "alpha": 0.35, "edgecolor": FOREGROUND, "linewidth": 0.8},
            whiskerprops={"color": FOREGROUND, "linewidth": 0.8},
            capprops={"color": FOREGROUND, "linewidth": 0.8},
            medianprops={"color": FOREGROUND, "linewidth": 2.0},
        )
    else:
        axes.vlines(float(np.median(values)), row - 0.28, row + 0.28, color=FOREGROUND, linewidth=2.0)
    axes.plot(
        values,
        row + _apart(len(values)),
        linestyle="none",
        marker=look.marker,
        color=look.color,
        markersize=5.5,
        markeredgecolor=FOREGROUND,
        markeredgewidth=0.6,
        alpha=0.9,
        label="values",
        clip_on=False,
        zorder=4,
    )


def _apart(count: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Offsets up and down, so that equal values do not hide each other: a fixed zigzag, no chance in it."""
    return 0.17 * np.resize([0.0, 1.0, -1.0, 0.5, -0.5], count)
