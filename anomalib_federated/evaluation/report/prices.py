"""The sections of the report on what accuracy costs, and on corrupted pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from anomalib_federated.evaluation.comparison.trade_off import ACCURACY, ASPECTS, TradeOff
from anomalib_federated.evaluation.comparison.trade_off_tables import HOW_TO_READ_TRADE_OFF, trade_off_table
from anomalib_federated.evaluation.corrupted import FIGURES, SHOWN, Corrupted, clean_figures
from anomalib_federated.evaluation.plots import price_panels, to_svg
from anomalib_federated.evaluation.plots.style import in_order
from anomalib_federated.evaluation.report.charts import Chart
from anomalib_federated.evaluation.results import Result
from anomalib_federated.evaluation.undefined import mean, show

CLEAN = "clean"

Lines: TypeAlias = list[tuple[str, list[str]]]
"""What pictures, and the figures on them."""


@dataclass(frozen=True, kw_only=True)
class PriceSection:
    """What the section on the trade-off shows.

    Attributes:
        headings: Of the columns.
        rows: Method and its cells.
        words: How to read them.
        chart: Accuracy against each price; ``None`` if no method has both.
    """

    headings: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    words: str
    chart: Chart | None


def price_section(trade: TradeOff) -> PriceSection:
    """Table and chart of a trade-off."""
    table = trade_off_table(trade)
    accurate = [row for row in trade.rows if any(name in row for name in ACCURACY)]
    drawn = any(price in row for row in accurate for price in trade.prices)
    caption = f"Accuracy against {', '.join(ASPECTS[name].label for name in trade.prices)}"
    return PriceSection(
        headings=tuple(map(str, table.columns)),
        rows=tuple((str(method), tuple(map(str, table.loc[method]))) for method in table.index),
        words=" ".join([*trade.notes, HOW_TO_READ_TRADE_OFF]),
        chart=Chart(svg=to_svg(price_panels(trade)), caption=caption) if drawn else None,
    )


def corruption_tables(
    results: Sequence[Result], corrupted: Sequence[Corrupted]
) -> list[tuple[str, list[str], list[tuple[str, Lines]]]]:
    """Per category its headings and, per method, a line for clean pictures and one for each corruption.

    Args:
        results: On clean pictures.
        corrupted: On corrupted ones; a category without any has no table.
    """
    headings = [FIGURES[name] for name in SHOWN]
    tables = []
    for category in sorted({each.category for each in corrupted}):
        own = [each for each in corrupted if each.category == category]
        methods = in_order({each.method for each in own})
        tables.append((category, headings, [(method, _lines(results, own, method, category)) for method in methods]))
    return tables


def _lines(results: Sequence[Result], corrupted: Sequence[Corrupted], method: str, category: str) -> Lines:
    clean = [clean_figures(result) for result in results if (result.method, result.category) == (method, category)]
    found: dict[str, list[dict[str, float | None]]] = {CLEAN: clean} if clean else {}
    for each in corrupted:
        for level in each.levels if each.method == method else ():
            found.setdefault(level.name, []).append(level.figures)
    return [(name, [show(mean([figures.get(one) for figures in own])) for one in SHOWN]) for name, own in found.items()]
