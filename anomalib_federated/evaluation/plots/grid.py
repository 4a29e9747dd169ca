"""A grid of coloured cells with their numbers, which heat-maps and tables of counts are drawn with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from anomalib_federated.evaluation.plots.style import FOREGROUND, TEXT_POINTS, WIDTH, dress, named

_COLUMN_INCHES = 0.46  # a number of three places in 9 points
_WIDEST_INCHES = 1.3
_ROW_INCHES = 0.36
_BESIDE_INCHES = 2.6  # names of rows, and the colour bar
_CHARACTER_INCHES = 0.085
_LINE_INCHES = 0.15
_TILT_DEGREES = 40.0
_DARK = "#010101"  # SVG leaves pure black to the page, which may say otherwise


@dataclass(frozen=True, kw_only=True)
class Frame:
    """How large a figure a grid needs, and how its names are set.

    Attributes:
        width: Of the figure, in inches.
        height: Of the figure.
        rows: Labels, on several lines if they are long.
        columns: The same.
        tilted: Whether the columns' labels are wider than the columns.
    """

    width: float
    height: float
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    tilted: bool


def frame_of(rows: Sequence[str], columns: Sequence[str]) -> Frame:
    """The frame of a grid with these names: columns stand upright where they fit, on up to three lines."""
    narrowest, widest = (len(columns) * inches + _BESIDE_INCHES for inches in (_COLUMN_INCHES, _WIDEST_INCHES))
    width = max(min(WIDTH, widest), narrowest)
    room = int((width - _BESIDE_INCHES) / len(columns) / _CHARACTER_INCHES)
    tilted = any(len(word) > room for name in columns for word in name.replace("_", " ").split())
    tilted = tilted or any(len(name) > 2.5 * room for name in columns)
    labels = tuple(named(name, width=26, lines=2) if tilted else named(name, width=room) for name in columns)
    lines = [label.split("\n") for label in labels]
    longest = _CHARACTER_INCHES * max(len(line) for label in lines for line in label)
    below = longest * math.sin(math.radians(_TILT_DEGREES)) if tilted else _LINE_INCHES * max(map(len, lines))
    return Frame(
        width=width,
        height=max(1.1, len(rows) * _ROW_INCHES) + below + 0.75,
        rows=tuple(named(name) for name in rows),
        columns=labels,
        tilted=tilted,
    )


def draw_grid(
    axes: Axes,
    values: NDArray[np.float64],
    *,
    frame: Frame,
    texts: Sequence[Sequence[str]],
    colors: Colormap,
    limits: tuple[float, float],
) -> ScalarMappable:
    """Draw cells, each with its text in black or white, whichever is easier to read on its colour.

    Args:
        axes: Where.
        values: Shape ``(rows, columns)``; NaN leaves the cell uncoloured and hatched.
        frame: With the names, from :func:`frame_of`.
        texts: What stands in each cell.
        colors: Colour map.
        limits: Values of its first and last colour.

    Returns:
        What a colour bar can be made of.
    """
    dress(axes)
    scale = Normalize(*limits)
    mesh = axes.pcolormesh(
        np.ma.masked_invalid(values), cmap=colors, norm=scale, edgecolors="white", linewidth=1.5, snap=True
    )
    for (row, column), value in np.ndenumerate(values):
        if np.isnan(value):
            axes.add_patch(_empty(row, column))
        axes.text(
            column + 0.5,
            row + 0.5,
            texts[row][column],
            ha="center",
            va="center_baseline",
            fontsize=TEXT_POINTS,
            color=FOREGROUND if np.isnan(value) else _readable_on(colors(scale(value))),
        )
    axes.set_yticks(np.arange(len(frame.rows)) + 0.5, labels=list(frame.rows))
    axes.set_xticks(np.arange(len(frame.columns)) + 0.5, labels=list(frame.columns))
    if frame.tilted:
        for label in axes.get_xticklabels():
            label.set(rotation=_TILT_DEGREES, ha="right", rotation_mode="anchor")
    axes.tick_params(length=0)
    axes.invert_yaxis()
    for spine in axes.spines.values():
        spine.set_visible(False)
    return mesh


def color_bar(figure: Figure, axes: Axes, colored: ScalarMappable, *, label: str, whole: bool = False) -> None:
    """Beside the grid, with the name of what the colours mean, ticks at whole numbers only if need be."""
    ticks = MaxNLocator(5, integer=whole, steps=[1, 2, 5, 10])
    bar = figure.colorbar(colored, ax=axes, fraction=0.04, pad=0.02, aspect=14, ticks=ticks)
    bar.outline.set_visible(False)
    if bar.solids is not None:
        bar.solids.set_rasterized(False)  # else an SVG holds a picture of it
        bar.solids.set_edgecolor("face")
    dress(bar.ax, y=label)
    bar.ax.spines["left"].set_visible(False)
    bar.ax.spines["bottom"].set_visible(False)


def _empty(row: int, column: int) -> Rectangle:
    cell = Rectangle((column, row), 1, 1, facecolor="none", edgecolor=FOREGROUND, alpha=0.35, linewidth=0.6)
    cell.set_linestyle((0, (2, 2)))
    return cell


def _readable_on(color: tuple[float, float, float, float]) -> str:
    """Black or white, by the contrast ratio of WCAG 2.1."""
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color))
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return _DARK if (luminance + 0.05) ** 2 > 0.05 * 1.05 else "white"
