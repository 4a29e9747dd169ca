"""``anomalib-federated data stats``: what a data set holds."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser
from pandas import DataFrame
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from anomalib_federated.cli.data_option import data_parser
from anomalib_federated.data.exploration import survey


def run(command: str, arguments: Sequence[str]) -> int:
    """Print a table, or one JSON list with an object per category, split and defect type."""
    options = build_parser(command).parse_args(list(arguments))
    found = survey(Path(options.data.root), options.data.categories)
    if options.json:
        sys.stdout.write(found.to_json(orient="records", indent=2) + "\n")
        return 0
    Console().print(_table(found))
    return 0


def build_parser(command: str) -> ArgumentParser:
    """The command's options."""
    parser = data_parser(
        command, description="Count pictures and mask channels per category, split and defect type; tell the sizes."
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser


def _table(found: DataFrame) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("category", "split", "defect type", "group"):
        table.add_column(name, overflow="fold")
    for name in ("pictures", "channels", "height x width"):
        table.add_column(name, justify="right", no_wrap=True)
    records: list[dict[str, Any]] = json.loads(found.to_json(orient="records"))
    last = ""
    for row in records:
        if row["category"] != last and last:
            table.add_section()
        category = row["category"] if row["category"] != last else ""
        last = row["category"]
        size = f"{_range(row, 'height')} x {_range(row, 'width')}"
        group = "" if row["label"] == row["group"] else row["group"]
        table.add_row(category, row["split"], row["label"], group, str(row["images"]), str(row["channels"]), size)
    table.add_section()
    table.add_row("all", "", "", "", str(found["images"].sum()), str(found["channels"].sum()), "")
    return table


def _range(row: dict[str, Any], side: str) -> str:
    low, high = row[f"min_{side}"], row[f"max_{side}"]
    return str(low) if low == high else f"{low}-{high}"
