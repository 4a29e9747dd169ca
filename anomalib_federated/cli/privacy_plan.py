"""``anomalib-federated privacy plan``: what a promise costs, before anything is released."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from anomalib_federated.cli.plain_table import plain_table
from anomalib_federated.privacy.plan import GOOD, POOR, Plan
from anomalib_federated.privacy.sums import NoiseAdders

EPSILONS = (1.0, 2.0, 4.0, 8.0)


def run(command: str, arguments: Sequence[str]) -> int:
    """Print a table with a line per epsilon, or one JSON list."""
    options = build_parser(command).parse_args(arguments)
    plans = [_plan(options, epsilon) for epsilon in options.epsilon]
    rows = [_row(plan, options) for plan in plans]
    if options.json:
        sys.stdout.write(json.dumps(rows, indent=2, allow_nan=False) + "\n")
        return 0
    console = Console()
    console.print(_table(rows, options))
    for sentence in _sentences(options):
        console.print(sentence, highlight=False)
    return 0


def _plan(options: argparse.Namespace, epsilon: float) -> Plan:
    return Plan(
        pictures=options.pictures,
        epsilon=epsilon,
        delta=options.delta,
        sites=options.sites,
        adders=NoiseAdders(noise_by=options.noise_by, honest_sites=options.honest_sites),
    )


def _row(plan: Plan, options: argparse.Namespace) -> dict[str, Any]:
    share = plan.smallest_share(cells=options.cells, cells_per_picture=options.cells_per_picture)
    return {
        "epsilon": plan.epsilon,
        "delta": plan.delta,
        "noise": plan.noise,
        "pictures_per_noise": plan.pictures_per_noise,
        "smallest_share": share,
        "second_moment_noise": plan.second_moment_noise(options.dimensions),
        "verdict": plan.verdict,
        "pictures_needed": plan.pictures_needed,
    }


def _table(rows: Sequence[dict[str, Any]], options: argparse.Namespace) -> Table:
    table = plain_table(numbers=("epsilon", "noise", "pictures", "share", "moments", "needed", "verdict"))
    for row in rows:
        share = row["smallest_share"]
        table.add_row(
            f"{row['epsilon']:g}",
            f"{row['noise']:.2f}",
            f"{row['pictures_per_noise']:.0f}",
            f"{share:.1%}" if share <= 1 else "none",
            f"{row['second_moment_noise']:.3f}",
            str(row["pictures_needed"]),
            row["verdict"],
        )
    table.title = (
        f"{options.pictures} pictures of {options.sites} {'site' if options.sites == 1 else 'sites'}, "
        f"delta {options.delta:g}, noise by {options.noise_by.replace('_', ' ')}"
    )
    table.title_style = ""
    return table


def _sentences(options: argparse.Namespace) -> tuple[str, ...]:
    return (
        "noise: its standard deviation in the sum of all sites, in multiples of the most that one picture can add.",
        f"pictures: by how many noises all of them stand out; good from {GOOD:g}, useless below {POOR:g}.",
        f"share: of the pictures that must contain a thing for it to be learnt, with a codebook of {options.cells} "
        f"cells, {options.cells_per_picture} per picture.",
        f"moments: largest eigenvalue of the noise in second moments of {options.dimensions} features, whose norm is "
        "at most 1.",
        "needed: pictures that make it good.",
    )


def build_parser(command: str) -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(
        prog=f"anomalib-federated {command}",
        description="Tell how much noise a promise takes, and what is left to be learnt. Nothing is released.",
    )
    parser.add_argument("--pictures", type=int, required=True, help="of all sites together, of one category")
    parser.add_argument("--epsilon", type=float, nargs="+", default=EPSILONS, help="promises to compare (1 2 4 8)")
    parser.add_argument("--delta", type=float, default=1e-5, help="chance that the promise does not hold (1e-5)")
    parser.add_argument("--sites", type=int, default=1, help="how many take part (1)")
    parser.add_argument(
        "--noise_by",
        choices=("centre", "each_site", "honest_sites"),
        default="each_site",
        metavar="WHO",
        help="who adds the noise: a trusted centre, each_site all of it, or honest_sites a part each (each_site)",
    )
    parser.add_argument("--honest_sites", type=int, default=1, help="how many surely add their part of it (1)")
    parser.add_argument("--cells", type=int, default=4096, help="of a codebook (4096)")
    parser.add_argument("--cells_per_picture", type=int, default=64, help="cells that a picture votes for (64)")
    parser.add_argument("--dimensions", type=int, default=64, help="of features whose second moments are released (64)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser
