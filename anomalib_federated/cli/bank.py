"""``anomalib-federated bank``: look at memory banks, merge those of sites again, add images to one."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module

ACTIONS = {
    "info": "tell what memory banks hold",
    "merge": "make the global bank again out of the banks of sites, with or without some of them",
    "update": "add new images to the bank of a site, without the old ones",
}
"""Per action, the rest of whose module's name it is, what it does."""


def run(command: str, arguments: Sequence[str]) -> int:
    """Run one of the actions, whose module is imported only then: looking needs no training stack."""
    action, *rest = list(arguments) or ["--help"]
    if action not in ACTIONS:
        _parser(command).parse_args([action, *rest])
        return 2
    status: int = import_module(f"anomalib_federated.cli.bank_{action}").run(f"{command} {action}", rest)
    return status


def _parser(command: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"anomalib-federated {command}",
        description="Look at memory banks, merge those of sites again, add images to one.",
        epilog=f"'anomalib-federated {command} ACTION --help' says more about an action.",
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    for name, description in ACTIONS.items():
        actions.add_parser(name, help=description)
    return parser
