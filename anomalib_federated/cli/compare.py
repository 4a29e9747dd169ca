"""``anomalib-federated compare``: what methods reach next to a baseline, and what can be said about it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from anomalib_federated.cli.comparison_tables import print_comparison, print_trade_off
from anomalib_federated.cli.worst_groups_table import print_worst_groups
from anomalib_federated.evaluation.comparison.beside import read_beside
from anomalib_federated.evaluation.comparison.compare import compare
from anomalib_federated.evaluation.comparison.table_files import write_tables
from anomalib_federated.evaluation.comparison.trade_off import trade_off
from anomalib_federated.evaluation.comparison.trade_off_tables import write_trade_off
from anomalib_federated.evaluation.results import read_results

FIGURES = ("auc_spro@0.05", "image_auroc")
"""Compared if none is named: of pixels, then of images."""


def run(command: str, arguments: Sequence[str]) -> int:
    """Print tables and sentences, and write them if an output folder is given."""
    parser = build_parser(command)
    figures_help = f"the deciding one first; default: {' '.join(FIGURES)}"
    parser.add_argument("--figures", nargs="+", default=FIGURES, metavar="FIGURE", help=figures_help)
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="also write comparison.csv, .md, .tex, .json and trade_off.csv, .md, .tex here",
    )
    options = parser.parse_args(arguments)
    results = [result for folder in options.folders for result in read_results(folder)]
    figures = dict.fromkeys(options.figures)
    comparisons = [compare(results, figure=figure, baseline=options.baseline) for figure in figures]
    beside = read_beside(options.folders)
    trade = trade_off(results, beside, baseline=options.baseline)
    print_comparison(results, comparisons)
    print_worst_groups(results, beside.groups, list(figures))
    if trade.prices:
        print_trade_off(trade)
    if options.output is not None:
        paths = write_tables(options.output, results, comparisons)
        paths += write_trade_off(options.output, trade) if trade.prices else []
        for path in paths:
            sys.stderr.write(f"{path}\n")
    return 0


def build_parser(command: str) -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(
        prog=f"anomalib-federated {command}",
        description="Compare methods with a baseline: tables, tests, and in words what they can and cannot say; then "
        "the worst category, group, site and type of defect of each, and what each costs in privacy, fairness, "
        "robustness and bytes, as far as it was measured.",
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="output of a run; several are joined")
    parser.add_argument("--baseline", default="centralised", metavar="METHOD", help="default: %(default)s")
    return parser
