"""Results as a table on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from anomalib_federated.evaluation.results import Result, of_method
from anomalib_federated.evaluation.undefined import mean, show

FIGURES = {"image_auroc": "image AUROC", "average_precision": "AP", "auc_spro@0.05": "AUC-sPRO @0.05"}
"""The figures shown, by name, and their headings."""


def print_results(results: Sequence[Result]) -> None:
    """Print a line per method and category; per method, the mean of the figures and the sum of rows and bytes."""
    table = Table(title="Results on the test images", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("method and category", no_wrap=True)
    for heading in (*FIGURES.values(), "rows", "covering radius", "MB sent"):
        table.add_column(heading, justify="right", min_width=max(map(len, heading.split())))
    for method in dict.fromkeys(result.method for result in results):
        own = of_method(results, method)
        table.add_row(f"[bold]{method}")
        for result in own:
            table.add_row(*_cells(f"  {result.category}", [result]))
        if len(own) > 1:
            table.add_row(*_cells("  mean or sum", own), style="bold")
        table.add_section()
    Console().print(table)


def _cells(label: str, results: Sequence[Result]) -> list[str]:
    banks = [result.bank for result in results if result.bank is not None]
    return [
        label,
        *(show(mean([result.figures.headline(name) for result in results])) for name in FIGURES),
        str(sum(bank.rows for bank in banks)),
        show(mean([bank.covering_radius for bank in banks])),
        f"{sum(bank.bytes_sent for bank in banks) / 1e6:.2f}",
    ]
