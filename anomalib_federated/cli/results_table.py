"""Results as a table on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from anomalib_federated.evaluation import ResultRow


def print_results(rows: Sequence[ResultRow]) -> None:
    """Print a line per method and category; per method, the mean of the figures and the sum of rows and bytes."""
    table = Table(title="Results on the test pictures", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("method and category", no_wrap=True)
    for heading in ("image AUROC", "AP", "AUC-sPRO @0.05", "rows", "covering radius", "MB sent"):
        table.add_column(heading, justify="right", min_width=max(map(len, heading.split())))
    for method in dict.fromkeys(row.method for row in rows):
        own = [row for row in rows if row.method == method]
        table.add_row(f"[bold]{method}")
        for row in own:
            table.add_row(*_cells(f"  {row.category}", [row]))
        if len(own) > 1:
            table.add_row(*_cells("  mean or sum", own), style="bold")
        table.add_section()
    Console().print(table)


def _cells(label: str, rows: Sequence[ResultRow]) -> list[str]:
    return [
        label,
        _mean([row.image_auroc for row in rows]),
        _mean([row.average_precision for row in rows]),
        _mean([row.auspro["0.05"] if row.auspro else None for row in rows]),
        str(sum(row.bank_rows for row in rows)),
        f"{fmean(row.covering_radius for row in rows):.3f}",
        f"{sum(row.bytes_sent for row in rows) / 1e6:.2f}",
    ]


def _mean(values: Sequence[float | None]) -> str:
    defined = [value for value in values if value is not None]
    return f"{fmean(defined):.3f}" if len(defined) == len(values) else "not defined"
