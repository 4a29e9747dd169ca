"""One look for all plots: colours that the colour-blind and a gray printer can tell apart, readable text, a light grid.

Everything is set on the artists themselves and nothing through matplotlib's global settings, so that plots may be made
in threads and in a notebook that has a style of its own.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

FOREGROUND = "#1a1b1c"
"""Text, axes and outlines; no data are drawn in it, so that a page can give it the colour of its own text."""

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#56B4E9", "#D55E00", "#AA4499", "#CC79A7", "#8C6D31")
"""Okabe and Ito's colours without black and yellow, which vanish on dark or white paper, and two of Tol's instead."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
HATCHES = ("", "///", "\\\\\\", "xxx", "---", "|||", "+++", "/", "\\", "x", "-")  # dots would make an SVG huge
DASHES = ((), (6, 2), (2, 1.5), (7, 2, 1.5, 2), (4, 1.5, 1.5, 1.5, 1.5, 1.5), (10, 3), (1, 1))

BASELINE = "centralised"
"""The method that pools all images: first in every plot, always of the same look."""

TEXT_POINTS = 9.0
LABEL_POINTS = 10.0
WIDTH = 7.2
"""Inches: the width of a text column on A4 and about 690 pixels on a page."""

Grid: TypeAlias = Literal["x", "y", "both"]

_CHARACTERS_PER_INCH = 13.0  # of the note's text at 9 points, on the safe side


@dataclass(frozen=True, kw_only=True)
class Look:
    """How a method is drawn: any one of these tells it from the others.

    Attributes:
        color: Fill or line.
        marker: Of points.
        hatch: Of areas.
        dashes: Of lines, as lengths on and off in points; empty is solid.
    """

    color: str
    marker: str
    hatch: str
    dashes: tuple[float, ...]

    @property
    def linestyle(self) -> Literal["-"] | tuple[float, tuple[float, ...]]:
        """The dashes as matplotlib wants them."""
        return (0, self.dashes) if self.dashes else "-"


def in_order(methods: Iterable[str]) -> list[str]:
    """The baseline first, the others by name.

    >>> in_order(["federated_iid", "federated", "centralised"])
    ['centralised', 'federated', 'federated_iid']
    """
    return sorted(set(methods), key=lambda name: (name != BASELINE, name))


def looks(methods: Iterable[str]) -> dict[str, Look]:
    """The look of each method, in drawing order; give all methods of an experiment, so that its plots agree.

    The baseline's look is kept for it even where it is absent. Beyond eight methods colours come again, with another
    marker and hatch.
    """
    ordered = in_order(methods)
    places = {name: 1 + place for place, name in enumerate(name for name in ordered if name != BASELINE)}
    return {name: _look(places.get(name, 0)) for name in ordered}


def new_figure(height: float, *, words: str, width: float = WIDTH) -> Figure:
    """An empty white figure.

    Args:
        height: In inches.
        words: What it shows, for those who cannot see it.
        width: In inches.
    """
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    figure.set_label(words)
    return figure


def dress(axes: Axes, *, x: str = "", y: str = "", grid: Grid | None = None, title: str = "") -> None:
    """Labels, ticks, two spines and a light grid.

    Args:
        axes: What is dressed.
        x: Label of the horizontal axis, with its unit.
        y: Label of the vertical one.
        grid: Of which axis there are lines: "x", "y", "both", or of none.
        title: What stands above, at the left.
    """
    axes.set_facecolor("white")
    axes.set_xlabel(x, color=FOREGROUND, fontsize=LABEL_POINTS)
    axes.set_ylabel(y, color=FOREGROUND, fontsize=LABEL_POINTS)
    axes.set_title(title, loc="left", color=FOREGROUND, fontsize=LABEL_POINTS, fontweight="bold")
    axes.tick_params(which="both", color=FOREGROUND, labelcolor=FOREGROUND, labelsize=TEXT_POINTS)
    for side, spine in axes.spines.items():
        spine.set_edgecolor(FOREGROUND)
        spine.set_linewidth(0.8)
        spine.set_visible(side in {"left", "bottom"})
    axes.set_axisbelow(True)
    axes.grid(visible=False, which="both")
    if grid:
        axes.grid(visible=True, axis=grid, color=FOREGROUND, alpha=0.18, linewidth=0.6)


def legend_height(labels: Sequence[str]) -> float:
    """Inches that a legend of such labels takes, with two beside each other."""
    return 0.2 * math.ceil(sum(label.count("\n") + 1 for label in labels) / 2)


def legend(figure: Figure, handles: Sequence[Artist]) -> None:
    """Above the axes, never over data; as many columns as the figure's width has room for."""
    longest = max(len(line) for handle in handles for line in str(handle.get_label()).split("\n"))
    columns = int(figure.get_figwidth() / (longest / _CHARACTERS_PER_INCH + 0.65))
    columns = min(max(1, columns), len(handles))
    columns = math.ceil(len(handles) / math.ceil(len(handles) / columns))  # rows of about equal length
    figure.legend(
        handles=list(handles),
        loc="outside upper left",
        ncols=columns,
        frameon=False,
        fontsize=TEXT_POINTS,
        labelcolor=FOREGROUND,
        handlelength=3.4,
        borderaxespad=0.2,
    )


def note(figure: Figure, *sentences: str) -> None:
    """Small text below: what the reader must know to read the plot; empty sentences are skipped."""
    text = " ".join(escaped(sentence) for sentence in sentences if sentence)
    if not text:
        return
    lines = textwrap.fill(text, int(figure.get_figwidth() * _CHARACTERS_PER_INCH))
    figure.supxlabel(lines, x=0.012, ha="left", fontsize=TEXT_POINTS, color=FOREGROUND)


def named(name: str, *, width: int = 24, lines: int = 4) -> str:
    """A method, category or site as a label: spaces for underscores, long names on several lines.

    Args:
        name: As the results have it.
        width: Characters in a line.
        lines: Beyond which the rest is left out, with an ellipsis.

    >>> named("tank_screw")
    'tank screw'
    """
    wrapped = textwrap.wrap(plain(name), width, max_lines=lines, placeholder=" …")
    return escaped("\n".join(wrapped) or "(no name)")


def plain(name: str) -> str:
    """A name within a sentence."""
    return name.replace("_", " ")


def escaped(text: str) -> str:
    """Text whose dollars matplotlib does not take for mathematics."""
    return text.replace("$", r"\$")


def area(look: Look, label: str = "") -> Patch:
    """What stands for a filled area in a legend."""
    patch = Patch(facecolor=look.color, edgecolor=FOREGROUND, hatch=look.hatch, linewidth=0.7, label=label)
    patch.set_hatch_linewidth(0.5)
    return patch


def point(look: Look, label: str = "", *, line: bool = False) -> Line2D:
    """What stands for points in a legend, joined by a line or not."""
    return Line2D(
        [],
        [],
        color=look.color,
        marker=look.marker,
        linestyle=look.linestyle if line else "none",
        linewidth=1.8,
        markersize=6.5,
        markeredgecolor=FOREGROUND,
        markeredgewidth=0.7,
        label=label,
    )


def share_limits(values: Iterable[float]) -> tuple[float, float]:
    """Limits of an axis of figures between 0 and 1: from 0, unless all values lie so high that nothing could be seen.

    >>> share_limits([0.93, 0.97]), share_limits([0.3, 0.97])
    ((0.8, 1.0), (0.0, 1.0))
    """
    low = math.floor(round(min(values) * 10 - 0.5, 6)) / 10
    return (low if low >= 0.4 else 0.0), 1.0


def with_start(label: str, low: float) -> str:
    """The axis label, and where the axis starts if that is not 0."""
    return f"{label} (axis starts at {low:g})" if low else label


def _look(place: int) -> Look:
    colors = PALETTE if place < len(PALETTE) else PALETTE[1:]
    color = colors[place] if place < len(PALETTE) else colors[(place - len(PALETTE)) % len(colors)]
    return Look(
        color=color,
        marker=MARKERS[0] if place == 0 else MARKERS[1 + (place - 1) % (len(MARKERS) - 1)],
        hatch=HATCHES[0] if place == 0 else HATCHES[1 + (place - 1) % (len(HATCHES) - 1)],
        dashes=DASHES[0] if place == 0 else DASHES[1 + (place - 1) % (len(DASHES) - 1)],
    )
