"""Measure what a second round is worth: covering radius and AUC-sPRO@0.05 against the bytes that sites send.

The sites of a data set, by a pattern of its file names, are asked for global banks of equal size: in one exchange with
growing budgets of their own, in two by `refinement` with the same budgets, and by the two extremes, all rows of all
sites (`concatenate`) and the rows of pooled training (`exact_k_center`). Features are extracted once, and every method
runs through the Flower apps. Prints one JSON line.

Example:
    python benchmarks/refinement.py --root DIR --category magnetic_tile
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from circumstances import circumstances

from anomalib_federated import registry
from anomalib_federated.data import AutoVI
from anomalib_federated.evaluation.measuring.measure import measure
from anomalib_federated.evaluation.measuring.scored_image import scored_images
from anomalib_federated.federation import Agreement, Federation, Site, make_sites, simulate
from anomalib_federated.interfaces.strategy import BankStrategy
from anomalib_federated.models import FederatedPatchcore


@dataclass(frozen=True, kw_only=True)
class Method:
    """A way to come to a global bank.

    Attributes:
        strategy: Strategy plugin.
        arguments: Its arguments.
        site_budget: The most rows that a site sends; a strategy that asks in rounds may ask for so many in each.
    """

    strategy: str
    arguments: dict[str, Any]
    site_budget: int


@dataclass(frozen=True, kw_only=True)
class Point:
    """A global bank, what it cost and what it is worth."""

    strategy: str
    arguments: dict[str, Any]
    site_budget: int
    rows: int
    rows_sent: int | None
    bytes_up: int
    bytes_down: int
    radius: float
    image_auroc: float | None
    auspro: float | None
    seconds: float


def methods(options: argparse.Namespace) -> list[Method]:
    kept: dict[str, Any] = {"budget": options.budget}
    refined = [
        Method(strategy="refinement", arguments=kept | {"first": first, "beyond": beyond}, site_budget=budget)
        for budget in options.site_budgets
        for first in options.first
        for beyond in options.beyond
    ]
    once = [Method(strategy="federated_coreset", arguments=kept, site_budget=budget) for budget in options.site_budgets]
    extremes = [
        Method(strategy="concatenate", arguments={}, site_budget=options.budget),
        Method(strategy="exact_k_center", arguments=kept, site_budget=options.budget),
    ]
    return [*once, *refined, *extremes]


def point_of(
    method: Method, strategy: BankStrategy, sites: Sequence[Site], model: FederatedPatchcore, datamodule: AutoVI
) -> Point:
    agreement = Agreement(space=model.space, budget=method.site_budget, seed=model.seed)
    federation = simulate(sites, strategy, agreement)
    model.bank = federation.bank
    found = measure(scored_images(model, datamodule.test_data), resamples=0)
    (radius,) = federation.bank.covering_radius.values()
    traffic = [each for categories in federation.traffic.values() for each in categories.values()]
    return Point(
        strategy=method.strategy,
        arguments=method.arguments,
        site_budget=method.site_budget,
        rows=len(federation.bank),
        rows_sent=rows_sent(federation),
        bytes_up=sum(each.up for each in traffic),
        bytes_down=sum(each.down for each in traffic),
        radius=radius,
        image_auroc=found.headline("image_auroc"),
        auspro=found.headline("auc_spro@0.05"),
        seconds=federation.seconds,
    )


def rows_sent(federation: Federation) -> int | None:
    """Rows that all sites sent; not known of candidates, which are sent again and again."""
    return sum(map(len, federation.site_banks.values())) or None


def some(datamodule: AutoVI, pictures: int | None, *, seed: int) -> None:
    """Keep some training and test pictures, drawn at random, for a trial."""
    if pictures is None:
        return
    rng = np.random.default_rng(seed)
    for name in ("train_data", "test_data"):
        data = getattr(datamodule, name)
        setattr(datamodule, name, data.sample(sorted(rng.permutation(len(data))[:pictures].tolist())))


def run(options: argparse.Namespace) -> dict[str, Any]:
    # Strategies are built before anything is computed, so that an impossible setting comes to light at once.
    wanted = [(each, registry.build("strategy", each.strategy, **each.arguments)) for each in methods(options)]
    datamodule = AutoVI(options.root, [options.category])
    datamodule.setup()
    some(datamodule, options.pictures, seed=options.seed)
    model = FederatedPatchcore(image_size=(options.side, options.side), seed=options.seed, visualizer=False)
    partitioner = registry.build("partitioner", "by_pattern", pattern=options.pattern)
    sites = make_sites(datamodule, partitioner, extractor=model.model, seed=options.seed)
    points = []
    for method, strategy in wanted:
        points.append(point_of(method, strategy, sites, model, datamodule))
        print(points[-1], file=sys.stderr)
    patches = {site.name: site.patches().patches(options.category) for site in sites}
    for site in sites:
        site.close()
    return {"patches": patches, "points": [asdict(point) for point in points]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, help="data folder")
    parser.add_argument("--category", default="magnetic_tile")
    parser.add_argument("--pattern", default=r"^(?P<site>exp\d)_", help="which part of a file name is the site")
    parser.add_argument("--budget", type=int, default=10_000, help="rows of the global bank")
    parser.add_argument("--site_budgets", type=int, nargs="+", default=[10_000, 20_000, 40_000])
    parser.add_argument("--first", type=float, nargs="+", default=[0.5], help="shares sent in the first round")
    parser.add_argument("--beyond", type=float, nargs="+", default=[0.5], help="shares of the radius")
    parser.add_argument("--side", type=int, default=320, help="height and width of pictures")
    parser.add_argument("--pictures", type=int, help="training and test pictures to use for a trial; by default all")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("flwr").setLevel(logging.WARNING)
    report = {
        "measures": "covering radius over the patches of all sites, and AUC-sPRO@0.05, against bytes between the "
        "server and all sites (up: from the sites; down: to them, with the bank that they measure)",
        "compared_with": "one exchange with the same and with larger site budgets; all rows; rows of pooled training",
        "category": options.category,
        "budget": options.budget,
        "side": options.side,
        "pictures": options.pictures or "all",
        **run(options),
        "repeats": 1,
        **circumstances("anomalib", "flwr", "timm"),
        "seed": options.seed,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
