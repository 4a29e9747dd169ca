"""Gap: what a method loses or gains against the method that pools all images, category by category."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from anomalib_federated.evaluation.plots.style import (
    BASELINE,
    FOREGROUND,
    TEXT_POINTS,
    Look,
    dress,
    in_columns,
    in_order,
    legend,
    legend_height,
    looks,
    named,
    new_figure,
    note,
    plain,
    point,
)

_ROW_INCHES = 0.165
_GAP_ROWS = 0.9  # between categories


@dataclass(frozen=True, kw_only=True)
class RelativeGap:
    """Of one method on one category.

    Attributes:
        method: Compared with the baseline.
        category: On which both were measured.
        gap: ``(method - baseline) / baseline``: -0.01 is a loss of 1 %; ``None`` if one of them has no value.
        low: Lower end of its interval or range; ``None`` if there is none.
        high: Upper end.
    """

    method: str
    category: str
    gap: float | None
    low: float | None = None
    high: float | None = None


def gap(gaps: Sequence[RelativeGap], *, words: str, intervals: str = "", baseline: str = BASELINE) -> Figure:
    """A dot per method in each category's row, left of the zero line if it is worse than the baseline.

    Args:
        gaps: Of any methods and categories.
        words: Of what figure, in words, such as "AUC-sPRO@0.05".
        intervals: What the lines around the dots are, as a sentence for the note.
        baseline: The method compared with.

    Raises:
        ValueError: If there is no gap with a value, one is not finite, or one has half an interval.

    Example:
        >>> figure = gap([RelativeGap(method="federated", category="pipe", gap=-0.01)], words="AUC-sPRO@0.05")
        >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
        ['pipe']
    """
    _check(gaps)
    look_of = looks([item.method for item in gaps] + [baseline])
    methods = in_order(item.method for item in gaps)
    categories = sorted({item.category for item in gaps})
    by_place = {(item.method, item.category): item for item in gaps}
    blocks = in_columns(categories, rows=len(methods))
    figure = new_figure(
        len(blocks[0]) * (len(methods) + _GAP_ROWS) * _ROW_INCHES
        + 1.5
        + legend_height([named(method) for method in methods]),
        words=f"{words} relative to {baseline}, by category and method",
    )
    for axes, block in zip(figure.subplots(1, len(blocks), squeeze=False)[0], blocks, strict=True):
        dress(axes, x=f"{words} relative to\n{named(baseline)}, %", grid="x")
        _frame(axes, gaps)
        _rows(axes, block, by_place, {method: look_of[method] for method in methods})
    legend(figure, [point(look_of[method], named(method)) for method in methods])
    note(figure, f"Left of the line is worse than {plain(baseline)}.", intervals)
    return figure


def _rows(
    axes: Axes,
    categories: Sequence[str],
    by_place: dict[tuple[str, str], RelativeGap],
    look_of: dict[str, Look],
) -> None:
    stride = len(look_of) + _GAP_ROWS
    for group, category in enumerate(categories):
        if group % 2:
            axes.axhspan(group * stride - 0.95, group * stride + stride - 0.95, color=FOREGROUND, alpha=0.05, lw=0)
        for place, (method, look) in enumerate(look_of.items()):
            _draw(axes, group * stride + place, by_place.get((method, category)), look)
    middle = (len(look_of) - 1) / 2
    axes.set_yticks([group * stride + middle for group in range(len(categories))], labels=[*map(named, categories)])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(categories) * stride - 0.95, -0.95)


def _check(gaps: Sequence[RelativeGap]) -> None:
    for item in gaps:
        numbers = [number for number in (item.gap, item.low, item.high) if number is not None]
        if not all(map(math.isfinite, numbers)):
            msg = f"The gap of {item.method} on {item.category} is not finite: {numbers}; leave it out by None."
            raise ValueError(msg)
        if (item.low is None) != (item.high is None):
            msg = f"The gap of {item.method} on {item.category} has half an interval; give both ends or none."
            raise ValueError(msg)
    if all(item.gap is None for item in gaps):
        msg = "There is no gap to draw; compare a method with a baseline on a category that both have."
        raise ValueError(msg)


def _frame(axes: Axes, gaps: Sequence[RelativeGap]) -> None:
    """Limits around zero and all intervals, at least a percent wide on either side."""
    ends = [100 * end for item in gaps for end in (item.gap, item.low, item.high) if end is not None]
    low, high = min(-1.0, *ends), max(1.0, *ends)
    air = 0.05 * (high - low)
    axes.set_xlim(low - air, high + air)
    axes.axvline(0, color=FOREGROUND, linewidth=1.3)


def _draw(axes: Axes, y: float, item: RelativeGap | None, look: Look) -> None:
    if item is None or item.gap is None:
        axes.annotate(
            "not run" if item is None else "no value",
            (0, y),
            xytext=(4, 0),
            textcoords="offset points",
            va="center_baseline",
            fontsize=TEXT_POINTS,
            color=FOREGROUND,
        )
        return
    if item.low is not None and item.high is not None:
        axes.hlines(y, 100 * item.low, 100 * item.high, color=look.color, linewidth=2.2)
    axes.plot(
        [100 * item.gap],
        [y],
        linestyle="none",
        marker=look.marker,
        color=look.color,
        markersize=6.5,
        markeredgecolor=FOREGROUND,
        markeredgewidth=0.7,
        label="gap",
        zorder=4,
    )
