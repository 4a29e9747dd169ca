"""Trade-off: what accuracy costs in rows of the bank, in bytes sent or in privacy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean
from typing import Literal, TypeAlias

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from anomalib_federated.evaluation.plots.cells import Cells, cells_of
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
    share_limits,
    with_start,
)
from anomalib_federated.evaluation.results import Result
from anomalib_federated.evaluation.undefined import mean

Against: TypeAlias = Literal["bank rows", "bytes sent", "epsilon"]

_LABELS: dict[Against, str] = {
    "bank rows": "rows of the bank, mean over categories",
    "bytes sent": "sent by all sites together, mean over categories",
    "epsilon": "privacy loss epsilon (less is more private)",
}
_LOGARITHMIC_FROM = 8.0  # ratio of the largest to the smallest price


def trade_off(results: Sequence[Result], figure: str, *, against: Against = "bank rows") -> Figure:
    """A point per method: its price across, its mean figure up; the cheap and good lie at the upper left.

    All methods are averaged over the same categories, those that every drawn method has. A method without the price
    (no bank, no promise about pictures) is left out, and the note says so.

    Args:
        results: Of all methods, categories and seeds.
        figure: One of :func:`~anomalib_federated.evaluation.seed_values.figure_labels`.
        against: The price; "epsilon" is what was promised about pictures.

    Raises:
        ValueError: If nothing is left to draw, or the figure or the price is unknown.
    """
    if against not in _LABELS:
        msg = f"There is no price named {against!r}; choose one of {', '.join(_LABELS)}."
        raise ValueError(msg)
    cells = cells_of(results, figure)
    look_of = looks(cells.methods)
    prices = {method: price for method in cells.methods if (price := _price(results, method, against)) is not None}
    prices = {method: price for method, price in prices.items() if _valued(cells, method)}
    if not prices:
        msg = f"No method has both {cells.words} and {against}; choose another price than {against!r}."
        raise ValueError(msg)
    common = sorted(set.intersection(*(_valued(cells, method) for method in prices)))
    if not common:
        msg = f"The methods with {against} have no category in common on which all have {cells.words}."
        raise ValueError(msg)
    ranges = {method: _range(cells, method, common) for method in prices}
    low, high = share_limits([value for values in ranges.values() for value in values])
    height = 3.7 + legend_height([named(method) for method in prices])
    drawing = new_figure(height, words=f"{cells.words} against {against}, a point per method")
    axes = drawing.subplots()
    dress(axes, x=_LABELS[against], y=with_start(cells.words, low), grid="both")
    for method, price in prices.items():
        _draw(axes, price, ranges[method], look_of[method])
    _scale(axes, list(prices.values()))
    if against == "bytes sent":
        axes.xaxis.set_major_formatter(EngFormatter("B"))
    axes.set_ylim(low, high + 0.01 * (high - low))
    legend(drawing, [point(look_of[method], named(method)) for method in prices])
    note(drawing, *_notes(cells, prices, common, against))
    return drawing


def _price(results: Sequence[Result], method: str, against: Against) -> float | None:
    """Mean over the method's results; ``None`` if any of them does not tell it."""
    return mean([_price_of(result, against) for result in results if result.method == method])


def _price_of(result: Result, against: Against) -> float | None:
    if result.bank is None:
        return None
    if against == "epsilon":
        return result.bank.epsilon if math.isfinite(result.bank.epsilon) else None
    return float(result.bank.rows if against == "bank rows" else result.bank.bytes_sent)


def _valued(cells: Cells, method: str) -> set[str]:
    return {category for category in cells.categories if cells[method, category].values}


def _range(cells: Cells, method: str, common: Sequence[str]) -> tuple[float, float, float]:
    """Lowest seed, mean and highest seed, each averaged over the categories."""
    values = [cells[method, category].values for category in common]
    return fmean(map(min, values)), fmean(map(fmean, values)), fmean(map(max, values))


def _draw(axes: Axes, price: float, values: tuple[float, float, float], look: Look) -> None:
    lowest, middle, highest = values
    if lowest < highest:
        axes.vlines(price, lowest, highest, color=look.color, linewidth=1.8)
    axes.plot(
        [price],
        [middle],
        linestyle="none",
        marker=look.marker,
        color=look.color,
        markersize=8,
        markeredgecolor=FOREGROUND,
        markeredgewidth=0.7,
        label="method",
        clip_on=False,
        zorder=4,
    )


def _scale(axes: Axes, prices: Sequence[float]) -> None:
    """Logarithmic for prices far apart, with a place for 0; else from 0."""
    positive = [price for price in prices if price > 0]
    if not positive or max(positive) < _LOGARITHMIC_FROM * min(positive):
        axes.set_xlim(0, 1.08 * max(prices) or 1)
        return
    axes.set_xlabel(f"{axes.get_xlabel()}, log scale")
    if len(positive) < len(prices):
        first = 10.0 ** math.floor(math.log10(min(positive)))
        axes.set_xscale("symlog", linthresh=first, linscale=0.8)
        axes.set_xlim(0, 1.6 * max(positive))
    else:
        axes.set_xscale("log")
        axes.set_xlim(min(positive) / 1.6, 1.6 * max(positive))


def _notes(cells: Cells, prices: dict[str, float], common: Sequence[str], against: str) -> list[str]:
    absent = [method for method in cells.methods if method not in prices]
    valueless = [plain(method) for method in absent if not _valued(cells, method)]
    priceless = [plain(method) for method in absent if _valued(cells, method)]
    elsewhere = [plain(category) for category in cells.categories if category not in common]
    several = any(len(cells[method, category].values) > 1 for method in prices for category in common)
    over = f"{len(common)} categories" if len(common) > 1 else plain(common[0])
    return [
        f"Mean over {over}." if len(common) > 1 else f"On {over} alone.",
        "Lines reach from each category's lowest seed to its highest." if several else "",
        f"Left out, having no {against}: {', '.join(priceless)}." if priceless else "",
        f"Left out, having no {cells.words}: {', '.join(valueless)}." if valueless else "",
        f"Categories left out because a method lacks them: {', '.join(elsewhere)}." if elsewhere else "",
    ]
