"""``anomalib-federated bank verify``: whether files are valid memory banks, and what was agreed."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from anomalib_federated.bank import BankError, MemoryBank
from anomalib_federated.messages.agreement import Agreement
from anomalib_federated.untrusted import said


def run(command: str, arguments: Sequence[str]) -> int:
    """Print a line per file; the status is 1 if one of them is refused."""
    options = build_parser(command).parse_args(arguments)
    agreement = None
    if options.agreement:
        agreement = Agreement.from_json(Path(options.agreement).read_text(), source=options.agreement)
    console, refused = Console(highlight=False, markup=False, soft_wrap=True), 0
    for name in options.files:
        try:
            console.print(f"{name}: valid, {_verify(name, agreement)}")
        except (BankError, OSError) as error:
            console.print(f"{name}: refused. {said(str(error))}")
            refused += 1
    return 1 if refused else 0


def build_parser(command: str) -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(
        prog=f"anomalib-federated {command}",
        description="Tell whether files are valid memory banks; with --agreement, whether each is the bank of one "
        "site, as agreed.",
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="memory bank")
    parser.add_argument("--agreement", metavar="FILE", help="agreement.json of the federation")
    return parser


def _verify(name: str, agreement: Agreement | None) -> str:
    bank = MemoryBank.load(name)
    if agreement is not None:
        if len(bank.sites) > 1:
            msg = f"It holds rows of several sites ({', '.join(bank.sites)}), but was to be the bank of one."
            raise BankError(msg)
        agreement.check(bank)
    return f"{len(bank)} rows of {', '.join(bank.sites)}, digest {bank.digest}"
