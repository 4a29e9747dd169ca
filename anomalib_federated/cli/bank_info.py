"""``anomalib-federated bank info``: what memory banks hold, where it comes from, and how well it covers that."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from anomalib_federated.bank import MemoryBank, describe
from anomalib_federated.cli.bank_table import print_bank


def run(command: str, arguments: Sequence[str]) -> int:
    """Print tables, or one JSON object with a description per file."""
    options = build_parser(command).parse_args(arguments)
    descriptions = {name: describe(MemoryBank.load(name)) for name in options.files}
    if options.json:
        sys.stdout.write(json.dumps(descriptions, indent=2, allow_nan=False) + "\n")
        return 0
    for name, description in descriptions.items():
        print_bank(name, description)
    return 0


def build_parser(command: str) -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(prog=f"anomalib-federated {command}", description="Tell what memory banks hold.")
    parser.add_argument("files", nargs="+", metavar="FILE", help="memory bank")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    return parser
