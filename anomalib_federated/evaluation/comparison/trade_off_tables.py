"""The trade-off as a table: for people as text, for programs as numbers in full precision, and as files."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd

from anomalib_federated.evaluation.comparison.table_files import csv, latex, markdown
from anomalib_federated.evaluation.comparison.tables import INCOMPLETE
from anomalib_federated.evaluation.comparison.trade_off import ASPECTS, DECIMALS, DIGITS, Row, TradeOff
from anomalib_federated.files import write_file

NOT_MEASURED = "not measured"
POOLED = "pools pictures"
NO_PROMISE = "no promise"
STANDING = "unbeaten"

HOW_TO_READ_TRADE_OFF = (
    "Unbeaten (Pareto-optimal): no other method is at least as good in every column and better in one, at the digits "
    "that are shown. 'not known': one may be, but for what was not measured. It says nothing about chance."
)
"""What people need to know to read the column."""

_VERDICTS = {True: "yes", None: "not known"}


def trade_off_table(trade: TradeOff) -> pd.DataFrame:
    """All methods as text: a row per method, the columns :data:`STANDING` and one per aspect."""
    rows = {
        row.method: {
            STANDING: _standing(row),
            **{heading(name): shown(row, name) for name in trade.aspects},
        }
        for row in trade.rows
    }
    table = pd.DataFrame.from_dict(rows, orient="index", dtype="object")
    table.index.name = "method"
    return table


def trade_off_frame(trade: TradeOff) -> pd.DataFrame:
    """All numbers in full precision, nothing where one was not measured; epsilon is ``inf`` where none is promised."""
    rows = [
        {
            "method": row.method,
            "pooled": row.pooled,
            **row.measured,
            STANDING: "" if row.standing is None else _VERDICTS.get(row.standing.optimal, "no"),
            "beaten_by": "; ".join(row.standing.beaten_by) if row.standing else "",
        }
        for row in trade.rows
    ]
    return pd.DataFrame(rows)


def write_trade_off(folder: Path, trade: TradeOff) -> list[Path]:
    """Write ``trade_off.csv``, ``.md`` and ``.tex``; each file appears only when it is complete.

    Returns:
        The files.
    """
    table = trade_off_table(trade)
    words = " ".join([*trade.notes, HOW_TO_READ_TRADE_OFF])
    content = {
        "trade_off.csv": csv(trade_off_frame(trade).replace(math.inf, "inf")),
        "trade_off.md": f"# Trade-off\n\n{markdown(table)}\n\n{words}\n",
        "trade_off.tex": latex(table, caption=f"Accuracy and its price. {words}", label="trade-off") + "\n",
    }
    return [write_file(folder / name, text.encode()) for name, text in content.items()]


def heading(aspect: str) -> str:
    """Of a column, with the direction that is better.

    Example:
        >>> heading("epsilon"), heading("worst_group")
        ('epsilon ↓', 'worst group AUC-sPRO@0.05 ↑')
    """
    return f"{ASPECTS[aspect].label} {'↑' if ASPECTS[aspect].better == 'more' else '↓'}"


def shown(row: Row, aspect: str) -> str:
    """A value as text, or why there is none."""
    value, kind = row.measured[aspect], ASPECTS[aspect].kind
    if value is None:
        if aspect in row.incomplete:
            return INCOMPLETE
        return POOLED if row.pooled and kind == "bytes" else NOT_MEASURED
    if kind == "bytes":
        return f"{value / 1e6:.{DIGITS}g} MB"
    if kind == "epsilon":
        return NO_PROMISE if math.isinf(value) else f"{value:.{DIGITS}g}"
    return f"{value:.{DECIMALS}f}"


def _standing(row: Row) -> str:
    if row.standing is None:
        return POOLED
    if row.standing.optimal is False:
        return f"no: {', '.join(row.standing.beaten_by)}"
    return _VERDICTS[row.standing.optimal]
