"""``anomalib-federated app``: where the Flower app lies, for ``flwr run $(anomalib-federated app)``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from anomalib_federated.flower_app import FOLDER


def run(command: str, arguments: Sequence[str]) -> int:
    """Print the folder."""
    build_parser(command).parse_args(arguments)
    sys.stdout.write(f"{FOLDER}\n")
    return 0


def build_parser(command: str) -> argparse.ArgumentParser:
    """The command's options."""
    return argparse.ArgumentParser(
        prog=f"anomalib-federated {command}",
        description="Print the folder of the Flower app, for 'flwr run $(anomalib-federated app) SUPERLINK -c "
        "'config=\"/path/to/federation.yaml\"''.",
    )
