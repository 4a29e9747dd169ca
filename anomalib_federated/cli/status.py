"""``anomalib-federated status``: who is in a federation, who is not and why, and what came of it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import datetime

from pydantic_core import to_jsonable_python
from rich.console import Console
from rich.table import Table
from rich.text import Text

from anomalib_federated.cli.plain_table import plain_table
from anomalib_federated.cli.refused_table import print_refused
from anomalib_federated.federation.folder import FederationFolder, SiteStatus, Version
from anomalib_federated.untrusted import said

STYLES = {"in": "green", "failed": "red", "refused": "red", "missing": "yellow", "late": "yellow", "removed": "dim"}


def run(command: str, arguments: Sequence[str]) -> int:
    """Print tables, or one JSON object; the folder is only read."""
    options = build_parser(command).parse_args(arguments)
    folder = FederationFolder.open(options.folder)
    if options.json:
        told = {"sites": folder.statuses(), "unnamed_nodes": folder.unnamed_nodes(), "versions": folder.versions()}
        sys.stdout.write(json.dumps(to_jsonable_python(told), indent=2, allow_nan=False) + "\n")
        return 0
    console = Console(highlight=False)
    named = folder.statuses() | {f"node {number}": status for number, status in folder.unnamed_nodes().items()}
    console.print(_sites(named) if named else "No site was heard of yet.")
    versions = folder.versions()
    console.print(_versions(versions) if versions else "There is no version of the global bank yet.")
    print_refused(versions[-1].refused if versions else ())
    return 0


def build_parser(command: str) -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(
        prog=f"anomalib-federated {command}", description="Tell where each site of a federation stands, and why."
    )
    parser.add_argument("folder", metavar="FOLDER", help="folder of a federation")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    return parser


def _sites(statuses: dict[str, SiteStatus]) -> Table:
    table = plain_table("site", "state", "since", numbers=("rows", "bytes", "images", "asked"))
    table.add_column("via")
    table.add_column("why", overflow="fold")
    for name, status in statuses.items():
        bank = status.bank
        counts = [str(bank.rows), str(bank.bytes), str(bank.images)] if bank else ["", "", ""]
        state = Text(status.state, style=STYLES.get(status.state, ""))
        # As Text, nothing in it is taken for markup.
        why = Text(said(status.reason))
        table.add_row(
            Text(name), state, _time(status.since), *counts, str(status.attempts), status.via or "", why
        )  # fmt: skip
    return table


def _versions(versions: Sequence[Version]) -> Table:
    table = plain_table("version", "made", "strategy", numbers=("rows",))
    for name in ("largest radius", "digest", "sites"):
        table.add_column(name, overflow="fold")
    for version in versions:
        largest = max(version.measured.radius.values(), default=None) if version.measured else None
        table.add_row(
            str(version.number),
            _time(version.time),
            Text(said(str(version.strategy["class_path"]))),
            str(version.rows),
            "not measured" if largest is None else f"{largest:.4g}",
            version.digest[:12],
            Text(", ".join(version.sites)),
        )
    return table


def _time(moment: datetime) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M")
