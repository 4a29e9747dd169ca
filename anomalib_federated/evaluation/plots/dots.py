"""A dot with a line through it: a value and how sure it is, in the row of a method."""

from __future__ import annotations

from matplotlib.axes import Axes

from anomalib_federated.evaluation.plots.style import FOREGROUND, TEXT_POINTS, Look


def draw_dot(axes: Axes, y: float, value: float, ends: tuple[float, float] | None, look: Look, *, label: str) -> None:
    """Draw one.

    Args:
        axes: Where.
        y: Height of the row.
        value: Where the dot is.
        ends: Of the line; ``None`` draws none.
        look: Of the method.
        label: What the dot is.
    """
    if ends is not None:
        axes.hlines(y, *ends, color=look.color, linewidth=2.2)
    axes.plot(
        [value],
        [y],
        linestyle="none",
        marker=look.marker,
        color=look.color,
        markersize=6.5,
        markeredgecolor=FOREGROUND,
        markeredgewidth=0.7,
        label=label,
        clip_on=False,
        zorder=4,
    )


def say_missing(axes: Axes, x: float, y: float, words: str) -> None:
    """Say why a row has no dot, beginning at ``x``."""
    axes.annotate(
        words,
        (x, y),
        xytext=(4, 0),
        textcoords="offset points",
        va="center_baseline",
        fontsize=TEXT_POINTS,
        color=FOREGROUND,
    )
