"""``anomalib-federated plugins``: what is installed, from which distribution, and what it does."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from anomalib_federated import registry


def run(command: str, arguments: Sequence[str]) -> int:
    """Print a table of plugins; a plugin that cannot be loaded is listed with its error, and the status is 1."""
    kind = build_parser(command).parse_args(arguments).kind
    table, failures = Table("kind", "name", "distribution", "what it does"), 0
    for each in [kind] if kind else sorted(registry.INTERFACES):
        try:
            plugins = registry.available(each)
        except registry.PluginError as error:
            table.add_row(each, "?", "?", f"[red]{error}")
            failures += 1
            continue
        for name, info in plugins.items():
            try:
                summary = (inspect.getdoc(registry.load(each, name)) or "").partition("\n")[0]
            except registry.PluginError as error:
                summary = f"[red]{error}"
                failures += 1
            table.add_row(each, name, f"{info.distribution} {info.version}", summary)
    Console().print(table)
    return 1 if failures else 0


def build_parser(command: str) -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(prog=f"anomalib-federated {command}", description="List the installed plugins.")
    parser.add_argument(
        "kind",
        nargs="?",
        choices=sorted(registry.INTERFACES),
        metavar="KIND",
        help=f"list only this kind: {', '.join(sorted(registry.INTERFACES))}",
    )
    return parser
