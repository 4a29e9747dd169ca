"""Groups of pictures: what each method reaches in each, with its interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from anomalib_federated.evaluation.figures import Interval
from anomalib_federated.evaluation.plots.dots import draw_dot, say_missing
from anomalib_federated.evaluation.plots.rows import GroupedRows
from anomalib_federated.evaluation.plots.style import (
    dress,
    in_order,
    legend,
    looks,
    named,
    note,
    point,
    share_limits,
    with_start,
)


@dataclass(frozen=True, kw_only=True)
class GroupValue:
    """Of one method in one group.

    Attributes:
        method: Its name.
        group: Name of the group.
        value: Between 0 and 1; ``None`` if the group does not define the figure.
        interval: Of the value; ``None`` if there is none.
    """

    method: str
    group: str
    value: float | None
    interval: Interval | None = None


def group_dots(values: Sequence[GroupValue], *, words: str, by: str, intervals: str = "") -> Figure:
    """A dot per method in each group's row, with a line from end to end of its interval.

    Args:
        values: Of any methods and groups.
        words: Of what figure, in words, such as "AUC-sPRO@0.05".
        by: What the groups are, such as "site".
        intervals: What the lines are, as a sentence for the note.

    Raises:
        ValueError: If no group has a value, or one is not finite.

    Example:
        >>> figure = group_dots([GroupValue(method="federated", group="dark", value=0.5)], words="AUROC", by="group")
        >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
        ['dark']
    """
    _check(values)
    look_of = looks(item.method for item in values)
    by_place = {(item.method, item.group): item for item in values}
    rows = GroupedRows(methods=in_order(look_of), categories=sorted({item.group for item in values}))
    figure, panels = rows.panels(beside=1.4, words=f"{words} by {by} and method")
    low, high = share_limits(_ends(values))
    margin = 0.01 * (high - low)
    for axes, groups in panels:
        dress(axes, x=with_start(words, low), grid="x")
        axes.set_xlim(low - (margin if low else 0), high + margin)
        for place_of_group, group in enumerate(groups):
            rows.shade(axes, place_of_group)
            for place, method in enumerate(rows.methods):
                y, item = rows.at(place_of_group, place), by_place.get((method, group))
                if item is None or item.value is None:
                    say_missing(axes, low, y, "not run" if item is None else "not defined")
                    continue
                ends = None if item.interval is None else (item.interval.low, item.interval.high)
                draw_dot(axes, y, item.value, ends, look_of[method], label="values")
        rows.label(axes, groups)
    legend(figure, [point(look_of[method], named(method)) for method in rows.methods])
    note(figure, intervals)
    return figure


def _ends(values: Sequence[GroupValue]) -> list[float]:
    known = [item.value for item in values if item.value is not None]
    return known + [item.interval.low for item in values if item.interval is not None]


def _check(values: Sequence[GroupValue]) -> None:
    for item in values:
        if item.value is not None and not math.isfinite(item.value):
            msg = f"The value of {item.method} in {item.group} is {item.value}; leave it out by None."
            raise ValueError(msg)
    if all(item.value is None for item in values):
        msg = "No group has a value to draw; choose another figure."
        raise ValueError(msg)
