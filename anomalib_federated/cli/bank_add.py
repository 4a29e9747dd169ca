"""``anomalib-federated bank add``: banks that came as files, into a federation's folder."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from rich.console import Console

from anomalib_federated.bank import BankError, MemoryBank
from anomalib_federated.cli.logs import configure_logs
from anomalib_federated.cli.refused_table import print_refused
from anomalib_federated.federation.folder import FederationFolder, FolderError
from anomalib_federated.untrusted import said


def run(command: str, arguments: Sequence[str]) -> int:
    """Add each file or refuse it, then make the next version; the status is 1 if one was refused."""
    configure_logs()
    options = build_parser(command).parse_args(arguments)
    folder, console = FederationFolder.open(options.folder), Console(highlight=False, markup=False, soft_wrap=True)
    refused, added = 0, 0
    for name in options.files:
        try:
            new = _add(folder, name)
        except (BankError, FolderError, FileNotFoundError) as error:
            console.print(f"{name}: refused. {said(str(error))}")
            refused += 1
            continue
        console.print(f"{name}: {'added' if new else 'this very bank was there already'}")
        added += new
    if added:
        console.print(_aggregate(folder))
        print_refused(folder.versions()[-1].refused if folder.versions() else ())
    return 1 if refused else 0


def build_parser(command: str) -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(
        prog=f"anomalib-federated {command}",
        description="Take banks that sites built with 'bank build' into a federation's folder, each in place of the "
        "bank that its site sent before. If the folder has a version of the global bank, the next is made as that one "
        "was.",
    )
    parser.add_argument("folder", metavar="FOLDER", help="folder of a federation")
    parser.add_argument("files", nargs="+", metavar="FILE", help="bank of a site")
    return parser


def _add(folder: FederationFolder, name: str) -> bool:
    bank = MemoryBank.load(name)
    site = bank.sites[0]
    try:
        return folder.accept(bank, site=site, via="file")
    except BankError as error:
        folder.note("refused", site=site, reason=str(error))
        raise


def _aggregate(folder: FederationFolder) -> str:
    if not folder.versions():
        return (
            "There is no version of the global bank yet; once all are in, make it: anomalib-federated bank aggregate "
            f"--folder {folder.path}"
        )
    version = folder.aggregate_again()
    return f"Version {version.number}: {folder.version_path(version.number)}, {version.rows} rows."
