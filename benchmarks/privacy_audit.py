"""Audit privacy plugins: sound ones at several epsilons, and such with a fault, which must be caught.

Two data sets that differ in a canary picture are released again and again, and told apart; see
`anomalib_federated.audit`. Prints one JSON line.

Example:
    python benchmarks/privacy_audit.py --runs 10000
"""

from __future__ import annotations

import argparse
import json
import sys
import time

import torch
from broken_privacy import ClaimsPictures, ClaimsPicturesShuffled, broken_sums
from circumstances import circumstances

from anomalib_federated import registry
from anomalib_federated.audit import Selecting, audit, generated_pictures, generated_space, target_of
from anomalib_federated.interfaces.privacy import BankPrivacy, Privacy, SumPrivacy
from anomalib_federated_plugins.privacy.row_noise import RowNoise

EPSILONS = (1.0, 2.0, 4.0, 8.0)
BROKEN_EPSILON = 4.0
ROW_EPSILON, ROW_SHARE, ROW_PICTURES, ROW_DIM = 1.0, 0.1, 30, 64


def audited(
    privacy: Privacy, name: str, options: argparse.Namespace, *, runs: int, **rows: object
) -> dict[str, object]:
    """Figures of one audit of a plugin."""
    began = time.perf_counter()
    if isinstance(privacy, BankPrivacy):
        pictures, selecting = rows["pictures"], rows["selecting"]
    else:
        pictures, selecting = generated_pictures(options.pictures, dim=options.dim, seed=options.seed), None
    target = target_of(
        privacy, pictures, space=generated_space(pictures.shape[-1]), selecting=selecting, seed=options.seed
    )
    found = audit(target, pictures, setting=name, runs=runs, membership_runs=options.membership_runs, seed=options.seed)
    point = {
        "audited": name,
        "runs": runs,
        "claim": round(found.epsilon, 4),
        "at_least": round(found.epsilon_found, 3),
        "at_least_if_gaussian": round(found.epsilon_if_gaussian, 3),
        "membership_auc": None if found.membership_auc is None else round(found.membership_auc, 3),
        "refuted": found.refuted,
        "seconds": round(time.perf_counter() - began, 1),
    }
    print(point, file=sys.stderr, flush=True)
    return point


def grid_of(pictures: torch.Tensor, side: int) -> torch.Tensor:
    """Pictures of ``side x side`` patches: those of generated ones, as often as it takes, and noise."""
    times = side // pictures.shape[1]
    larger = pictures.repeat(1, times, times, 1)
    return larger + torch.randn(larger.shape, generator=torch.Generator().manual_seed(1)) / 4


def row_settings(options: argparse.Namespace) -> list[tuple[str, dict[str, object]]]:
    """Rows of k-center and of chance, from pictures of 64 and of 256 patches."""
    settings = []
    for side in options.sides:
        pictures = grid_of(generated_pictures(ROW_PICTURES, dim=ROW_DIM, seed=options.seed), side)
        budget = int(ROW_PICTURES * side * side * ROW_SHARE)
        for name in ("k_center", "random"):
            coreset = registry.build("coreset", name, budget=budget)
            selecting = Selecting(coreset=coreset, name=name)
            settings.append((f"{name}, {side * side} patches", {"pictures": pictures, "selecting": selecting}))
    return settings


def audited_rows(options: argparse.Namespace) -> list[dict[str, object]]:
    points, runs = [], options.row_runs
    for name, rows in row_settings(options):
        if "random" in name:
            privacy = RowNoise(epsilon=ROW_EPSILON, rows_per_picture=1)
            points.append(audited(privacy, f"row_noise, one row per picture: {name}", options, runs=runs, **rows))
            continue
        for kind, plugin in (("in order", ClaimsPictures), ("shuffled", ClaimsPicturesShuffled)):
            what = f"row_noise claiming pictures, rows {kind}: {name}"
            points.append(audited(plugin(epsilon=ROW_EPSILON), what, options, runs=runs, **rows))
    return points


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plugins", nargs="*", help="of noisy sums; by default all that are installed")
    parser.add_argument("--runs", type=int, default=10_000, help="with the canary, and as many without")
    parser.add_argument("--row_runs", type=int, default=2000, help="likewise, for banks")
    parser.add_argument("--fault_runs", type=int, default=1000, help="likewise, for sums with a fault")
    parser.add_argument("--sides", type=int, nargs="*", default=[8, 16], help="patches of a row's picture, per side")
    parser.add_argument("--noise_by", default="each_site", help="who adds the noise to sound sums")
    parser.add_argument("--membership_runs", type=int, default=100)
    parser.add_argument("--dim", type=int, default=16, help="of the generated features")
    parser.add_argument("--pictures", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    names = options.plugins
    if names is None:
        names = [
            name for name in registry.available("privacy") if issubclass(registry.load("privacy", name), SumPrivacy)
        ]
    points = []
    for name in names:
        for epsilon in EPSILONS:
            init_args = {"epsilon": epsilon, "noise_by": options.noise_by}
            privacy = registry.build("privacy", {"class_path": name, "init_args": init_args})
            points.append(audited(privacy, name, options, runs=options.runs))
        for fault, plugin in broken_sums(type(privacy)):
            broken = plugin(epsilon=BROKEN_EPSILON)
            points.append(audited(broken, f"{name}: {fault}", options, runs=options.fault_runs))
    points += audited_rows(options)
    report = {
        "measures": "lower bounds on epsilon at 95 % confidence, from runs with and without a worst-case canary",
        "delta": 1e-5,
        "runs": "with the canary, and as many without",
        "dim": options.dim,
        "noise_by": options.noise_by,
        "points": points,
        **circumstances("dp-accounting", "scipy"),
        "seed": options.seed,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
