"""Accuracy against each of its prices, one small plot beside the other: privacy, worst group, attacks, bytes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from anomalib_federated.evaluation.comparison.trade_off import ACCURACY, ASPECTS, Row, TradeOff
from anomalib_federated.evaluation.plots.style import (
    FOREGROUND,
    Look,
    dress,
    legend,
    legend_height,
    looks,
    named,
    new_figure,
    note,
    plain,
    point,
)

COLUMNS = 2
HEIGHT = 2.7
"""Inches of one small plot."""

_LOGARITHMIC_FROM = 8.0  # ratio of the largest to the smallest price
_APART = 1.3  # ratio of two epsilons from which on both are written
_BEYOND = 6.0  # how many times larger than the largest epsilon infinity is drawn


def price_panels(trade: TradeOff) -> Figure:
    """A small plot per price that was measured, a point per method in each; hollow ones are beaten by another method.

    Up is AUC-sPRO@0.05, or image AUROC where no method has it. A method without a price or without an accuracy is in
    no plot of it, and the note says so.

    Args:
        trade: All methods.

    Raises:
        ValueError: If no method has both an accuracy and a price.
    """
    accuracy = next((name for name in reversed(ACCURACY) if name in trade.aspects), None)
    rows = [row for row in trade.rows if accuracy is not None and accuracy in row]
    prices = [name for name in trade.prices if any(name in row for row in rows)]
    if accuracy is None or not prices:
        msg = "No method has both an accuracy and a price, so there is no trade-off to draw; measure one."
        raise ValueError(msg)
    look_of = looks([row.method for row in trade.rows])
    lines = -(-len(prices) // COLUMNS)
    labels = [named(row.method) for row in rows]
    words = ASPECTS[accuracy].label
    drawing = new_figure(HEIGHT * lines + 0.6 + legend_height(labels), words=f"{words} against each price")
    grid = drawing.subplots(lines, COLUMNS, squeeze=False, sharey=True)
    low, high = _limits([row.measured[accuracy] or 0.0 for row in rows])
    for number, axes in enumerate(grid.flat):
        if number >= len(prices):
            axes.remove()
            continue
        _panel(axes, rows, prices[number], accuracy, look_of)
        axes.set_ylim(low, high)
        axes.set_ylabel(words if number % COLUMNS == 0 else "")
    legend(drawing, [point(look_of[row.method], named(row.method)) for row in rows])
    start = f"Upright axes start at {low:g}." if low else ""
    note(drawing, *_notes(trade, rows, prices, accuracy), start)
    return drawing


def _panel(axes: Axes, rows: Sequence[Row], price: str, accuracy: str, look_of: dict[str, Look]) -> None:
    aspect = ASPECTS[price]
    side = "right is better" if aspect.better == "more" else "left is better"
    dress(axes, x=f"{aspect.label} ({side})", grid="both")
    drawn = [row for row in rows if price in row]
    finite = [value for row in drawn if math.isfinite(value := row.measured[price] or 0.0)]
    beyond = _BEYOND * max(finite)
    for row in drawn:
        value = row.measured[price] or 0.0
        _point(axes, min(value, beyond), row.measured[accuracy] or 0.0, row, look_of[row.method])
    if aspect.kind == "share":
        axes.set_xlim(-0.03, 1.03)
        return
    if any(row.measured[price] == math.inf for row in drawn):
        axes.set_xscale("log")
        axes.set_xlim(min(finite) / 1.6, 1.6 * beyond)
        ticks: list[float] = []
        for value in sorted(finite):
            ticks += [value] if not ticks or value > _APART * ticks[-1] else []
        axes.set_xticks([*ticks, beyond], [*(f"{tick:.3g}" for tick in ticks), "no\npromise"])
        axes.minorticks_off()
        return
    if max(finite) >= _LOGARITHMIC_FROM * min(finite) > 0:
        axes.set_xscale("log")
        axes.set_xlim(min(finite) / 1.6, 1.6 * max(finite))
    else:
        axes.set_xlim(0, 1.1 * max(finite))
    if aspect.kind == "bytes":
        axes.xaxis.set_major_formatter(EngFormatter("B"))


def _point(axes: Axes, price: float, accuracy: float, row: Row, look: Look) -> None:
    beaten = row.standing is not None and row.standing.optimal is False
    axes.plot(
        [price],
        [accuracy],
        linestyle="none",
        marker=look.marker,
        color=look.color,
        markersize=8,
        markerfacecolor="none" if beaten else look.color,
        markeredgecolor=look.color if beaten else FOREGROUND,
        markeredgewidth=1.8 if beaten else 0.7,
        label=row.method,
        clip_on=False,
        zorder=4,
    )


def _limits(values: Sequence[float]) -> tuple[float, float]:
    """Of an upright axis of shares: whole twentieths around the values, so that points come apart.

    >>> _limits([0.45, 0.7])
    (0.4, 0.75)
    """
    return max(0.0, math.floor(20 * min(values) - 0.5) / 20), min(1.0, math.ceil(20 * max(values) + 0.5) / 20)


def _notes(trade: TradeOff, rows: Sequence[Row], prices: Sequence[str], accuracy: str) -> list[str]:
    absent = {name: [plain(row.method) for row in rows if name not in row] for name in prices}
    missing = [f"{ASPECTS[name].label} of {', '.join(methods)}" for name, methods in absent.items() if methods]
    without = [plain(row.method) for row in trade.rows if row not in rows]
    beaten = any(row.standing is not None and row.standing.optimal is False for row in rows)
    return [
        "Hollow: another method is at least as good in everything and better in something." if beaten else "",
        f"Not drawn, since it is not known: {'; '.join(missing)}." if missing else "",
        f"Left out, having no {ASPECTS[accuracy].label}: {', '.join(without)}." if without else "",
    ]
