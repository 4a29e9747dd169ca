"""``anomalib-federated agreement``: what the sites of a federation are asked for, as a file."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from anomalib_federated.cli.logs import configure_logs
from anomalib_federated.federation.settings import FederationSettings
from anomalib_federated.files import write_file


def run(command: str, arguments: Sequence[str]) -> int:
    """Write the agreement of a ``federation.yaml``."""
    options = build_parser(command).parse_args(arguments)
    configure_logs()
    text = FederationSettings.read(options.config).agreement().to_json()
    write_file(options.output, text.encode())
    Console().print(f"The agreement is in {options.output}.", highlight=False, soft_wrap=True)
    return 0


def build_parser(command: str) -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(
        prog=f"anomalib-federated {command}",
        description="Write what a federation asks its sites for into a file. With it, a site that is never online can "
        "build its bank: anomalib-federated bank build.",
    )
    parser.add_argument("-c", "--config", metavar="FILE", type=Path, required=True, help="federation.yaml")
    parser.add_argument(
        "--output", metavar="FILE", type=Path, default=Path("agreement.json"), help="file to write (agreement.json)"
    )
    return parser
