"""``anomalib-federated report``: one HTML file about an experiment, to open in any browser."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from anomalib_federated.evaluation.figures import HEADLINES
from anomalib_federated.evaluation.report import write_report
from anomalib_federated.evaluation.results import read_results


def run(command: str, arguments: Sequence[str]) -> int:
    """Write the report and print where it lies."""
    options = build_parser(command).parse_args(arguments)
    path = write_report(
        read_results(options.folder),
        options.folder,
        options.output or options.folder / "report.html",
        baseline=options.baseline,
        figure=options.figure,
    )
    sys.stdout.write(f"{path} ({path.stat().st_size / 1e6:.1f} MB), to open in a browser\n")
    return 0


def build_parser(command: str) -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(
        prog=f"anomalib-federated {command}",
        description="Write one HTML file about an experiment: what federation cost, tables, charts, a gallery.",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="output folder of an experiment, of all its seeds")
    parser.add_argument("--output", type=Path, metavar="FILE", help="HTML file to write (default: FOLDER/report.html)")
    parser.add_argument(
        "--baseline", default="centralised", metavar="METHOD", help="what the others are compared to (%(default)s)"
    )
    parser.add_argument(
        "--figure",
        default="auc_spro@0.05",
        choices=list(HEADLINES),
        metavar="FIGURE",
        help=f"what the headline is about: {', '.join(HEADLINES)} (%(default)s)",
    )
    return parser
