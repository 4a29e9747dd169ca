"""``anomalib-federated data``: get a data set, look at it, share it out to sites."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module

ACTIONS = {
    "download": "fetch AutoVI from its publisher, or unpack zips that are there",
    "stats": "tell what a data set holds: pictures, sizes, defect types, mask channels",
    "partition": "write which site gets which training picture",
    "demo": "draw a small data set that is laid out as AutoVI",
}
"""Per action, the rest of whose module's name it is, what it does."""


def run(command: str, arguments: Sequence[str]) -> int:
    """Run one of the actions, whose module is imported only then."""
    action, *rest = list(arguments) or ["--help"]
    if action not in ACTIONS:
        _parser(command).parse_args([action, *rest])
        return 2
    status: int = import_module(f"anomalib_federated.cli.data_{action}").run(f"{command} {action}", rest)
    return status


def _parser(command: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"anomalib-federated {command}",
        description="Get a data set, look at it, share it out to sites.",
        epilog=f"'anomalib-federated {command} ACTION --help' says more about an action.",
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    for name, description in ACTIONS.items():
        actions.add_parser(name, help=description)
    return parser
