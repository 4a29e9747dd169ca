"""Gap: what a method loses or gains against the method that pools all images, category by category."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from anomalib_federated.evaluation.plots.dots import draw_dot, say_missing
from anomalib_federated.evaluation.plots.rows import GroupedRows
from anomalib_federated.evaluation.plots.style import (
    BASELINE,
    FOREGROUND,
    Look,
    dress,
    in_order,
    legend,
    looks,
    named,
    note,
    plain,
    point,
)


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
    by_place = {(item.method, item.category): item for item in gaps}
    rows = GroupedRows(
        methods=in_order(item.method for item in gaps), categories=sorted({item.category for item in gaps})
    )
    figure, panels = rows.panels(beside=1.5, words=f"{words} relative to {baseline}, by category and method")
    for axes, categories in panels:
        dress(axes, x=f"{words} relative to\n{named(baseline)}, %", grid="x")
        _frame(axes, gaps)
        for group, category in enumerate(categories):
            rows.shade(axes, group)
            for place, method in enumerate(rows.methods):
                _draw(axes, rows.at(group, place), by_place.get((method, category)), look_of[method])
        rows.label(axes, categories)
    legend(figure, [point(look_of[method], named(method)) for method in rows.methods])
    note(figure, f"Left of the line is worse than {plain(baseline)}.", intervals)
    return figure


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
        say_missing(axes, 0, y, "not run" if item is None else "no value")
        return
    ends = None if item.low is None or item.high is None else (100 * item.low, 100 * item.high)
    draw_dot(axes, y, 100 * item.gap, ends, look, label="gap")
