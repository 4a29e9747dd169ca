"""Measure how much better pooled training covers the patches than a federation with a global bank of as many rows.

Every method runs through the Flower apps, on sites of its own whose features are extracted anew; the sites measure the
covering radius over all their patches. Prints one JSON line.

Example:
    python benchmarks/federated_radius.py --root DIR --category magnetic_tile --partitions exposures iid
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from circumstances import circumstances

from anomalib_federated import registry
from anomalib_federated.data import AutoVI
from anomalib_federated.evaluation.experiments.training import make_pooled_site
from anomalib_federated.federation import Agreement, make_sites, simulate
from anomalib_federated.interfaces.strategy import BankStrategy
from anomalib_federated.models import FederatedPatchcore

PARTITIONS: dict[str, dict[str, Any]] = {
    "exposures": {"class_path": "by_pattern", "init_args": {"pattern": r"^(?P<site>exp\d)_"}},
    "iid": {"class_path": "iid", "init_args": {"sites": 5}},
}


@dataclass(frozen=True, kw_only=True)
class Method:
    """A way to come to a global bank.

    Attributes:
        strategy: Strategy plugin.
        coreset: Coreset plugin of the sites.
        times: The most rows that a site sends, in budgets of the global bank.
        coreset_args: Further arguments of the coreset.
    """

    strategy: str
    coreset: str
    times: int = 1
    coreset_args: dict[str, Any] = field(default_factory=dict)


def methods(budget: int) -> dict[str, Method]:
    mergeable: dict[str, Any] = {"coreset": "k_center_mergeable", "coreset_args": {"final_rows": budget}}
    return {
        "k_center": Method(strategy="federated_coreset", coreset="k_center"),
        **{
            f"k_center_mergeable_{times}x": Method(strategy="federated_coreset", times=times, **mergeable)
            for times in (2, 4, 8)
        },
        "k_center_mergeable_close": Method(
            strategy="federated_coreset",
            coreset="k_center_mergeable",
            times=10,
            coreset_args={"final_rows": budget, "epsilon": 0.5},
        ),
        "exact_k_center": Method(strategy="exact_k_center", coreset="k_center"),
    }


def centralised(model: FederatedPatchcore, datamodule: AutoVI) -> dict[str, Any]:
    site = make_pooled_site(model, datamodule)
    bank = site.patches().build_bank(model.coreset, method="k_center", site=site.name, seed=model.seed)
    site.close()
    (selection,) = bank.contributions
    return {
        "patches": selection.patches,
        "rows": selection.rows,
        "radius": selection.covering_radius,
        "seconds": selection.seconds,
    }


def federated(
    model: FederatedPatchcore,
    datamodule: AutoVI,
    method: Method,
    *,
    budget: int,
    partition: str,
    strategy: BankStrategy,
) -> dict[str, Any]:
    partitioner = registry.build("partitioner", PARTITIONS[partition])
    sites = make_sites(datamodule, partitioner, extractor=model.model, seed=model.seed)
    began = time.perf_counter()
    for site in sites:
        site.patches()
    extracted = time.perf_counter()
    agreement = Agreement(
        space=model.space,
        coreset=method.coreset,
        coreset_args=method.coreset_args,
        budget=method.times * budget,
        seed=model.seed,
    )
    federation = simulate(sites, strategy, agreement)
    for site in sites:
        site.close()
    (radius,) = federation.bank.covering_radius.values()
    return {
        "partition": partition,
        "sites": len(sites),
        "rows": len(federation.bank),
        "rows_sent": {name: len(bank) for name, bank in federation.site_banks.items()},
        "bytes_sent": sum(each.up for per_category in federation.traffic.values() for each in per_category.values()),
        "bytes_received": sum(
            each.down for per_category in federation.traffic.values() for each in per_category.values()
        ),
        "radius": radius,
        "seconds": federation.seconds,
        "extraction_seconds": extracted - began,
    }


def smaller(datamodule: AutoVI, pictures: int | None, *, seed: int) -> None:
    """Keep some training pictures, drawn at random."""
    if pictures is not None:
        drawn = np.random.default_rng(seed).permutation(len(datamodule.train_data))[:pictures]
        datamodule.train_data = datamodule.train_data.sample(sorted(drawn.tolist()))


def run(options: argparse.Namespace, names: Sequence[str]) -> dict[str, object]:
    wanted = {name: methods(options.budget)[name] for name in names}
    # Strategies are built before anything is computed, so that a missing one comes to light at once.
    strategies = {
        (name, partition): registry.build("strategy", method.strategy, budget=options.budget)
        for name, method in wanted.items()
        for partition in options.partitions
    }
    datamodule = AutoVI(options.root, [options.category])
    datamodule.setup()
    smaller(datamodule, options.pictures, seed=options.seed)
    model = FederatedPatchcore(
        image_size=(options.side, options.side), budget=options.budget, seed=options.seed, visualizer=False
    )
    pooled = centralised(model, datamodule)
    found = []
    for (name, partition), strategy in strategies.items():
        print(f"{name}, {partition}", file=sys.stderr)
        figures = federated(
            model, datamodule, wanted[name], budget=options.budget, partition=partition, strategy=strategy
        )
        found.append({"method": name, **figures, "radius_over_centralised": figures["radius"] / pooled["radius"]})
    return {"centralised": pooled, "federated": found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, help="data folder")
    parser.add_argument("--category", default="magnetic_tile")
    parser.add_argument("--partitions", nargs="+", choices=list(PARTITIONS), default=list(PARTITIONS))
    parser.add_argument("--budget", type=int, default=10_000)
    parser.add_argument("--methods", nargs="+", choices=list(methods(1)), default=list(methods(1)))
    parser.add_argument("--side", type=int, default=320, help="height and width of pictures")
    parser.add_argument("--pictures", type=int, help="training pictures to use, drawn at random; by default all")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("flwr").setLevel(logging.WARNING)
    report = run(options, options.methods)
    measures = "covering radius over the patches of all sites, federated against pooled training, equal budgets"
    settings = {"category": options.category, "budget": options.budget, "pictures": options.pictures or "all"}
    context = circumstances("anomalib", "flwr", "timm") | {"repeats": 1, "seed": options.seed}
    print(json.dumps({"measures": measures, **settings, **report, **context}))


if __name__ == "__main__":
    main()
