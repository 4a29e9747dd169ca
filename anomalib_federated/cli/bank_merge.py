"""``anomalib-federated bank merge``: several banks in one file, such as the categories of a site."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from anomalib_federated.bank import MemoryBank, describe
from anomalib_federated.bank.in_order import in_order
from anomalib_federated.cli.bank_table import print_bank


def run(command: str, arguments: Sequence[str]) -> int:
    """Put the banks below each other; the order of the files does not matter."""
    options = build_parser(command).parse_args(arguments)
    banks = sorted(map(MemoryBank.load, options.files), key=lambda bank: (bank.sites, bank.categories))
    merged = in_order(MemoryBank.merge(banks))
    print_bank(str(merged.save(options.output)), describe(merged))
    return 0


def build_parser(command: str) -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(
        prog=f"anomalib-federated {command}",
        description="Put memory banks below each other in one file, such as those of a site's categories; every row is "
        "kept. The global bank of several sites is made by 'bank aggregate'.",
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="memory bank")
    parser.add_argument("--output", metavar="FILE", required=True, help="file to write")
    return parser
