"""What small messages cost: scores of a federation whose rows travel in float32, float16 or int8, and the bytes sent.

The sites of a data set are drawn at random. Features are extracted once; each precision runs through the Flower apps,
and its global bank is scored on the test pictures. Prints one JSON line.

Example:
    python benchmarks/row_precision.py --root DIR --category screw
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from circumstances import circumstances

from anomalib_federated import registry
from anomalib_federated.data import AutoVI
from anomalib_federated.evaluation.measuring.measure import measure
from anomalib_federated.evaluation.measuring.scored_image import scored_images
from anomalib_federated.federation import Site, make_agreement, make_sites, simulate
from anomalib_federated.models import FederatedPatchcore

PRECISIONS = ("float32", "float16", "int8")
FIGURES = ("image_auroc", "auc_spro@0.05")


def scores_of(
    precision: str, sites: list[Site], model: FederatedPatchcore, datamodule: AutoVI, budget: int
) -> dict[str, Any]:
    """Figures of the global bank of one federation, and what its sites sent."""
    strategy = registry.build("strategy", "federated_coreset", budget=budget)
    federation = simulate(sites, strategy, make_agreement(model, budget=budget, dtype=precision))
    model.bank = federation.bank
    found = measure(scored_images(model, datamodule.test_data), resamples=0)
    (radius,) = federation.bank.covering_radius.values()
    return {
        "precision": precision,
        "bytes_up": sum(each.up for categories in federation.traffic.values() for each in categories.values()),
        "radius": radius,
        **{name: found.headline(name) for name in FIGURES},
    }


def run(options: argparse.Namespace) -> list[dict[str, Any]]:
    """One result per precision, each with its difference from float32."""
    datamodule = AutoVI(options.root, [options.category])
    datamodule.setup()
    model = FederatedPatchcore(image_size=(options.side, options.side), seed=options.seed, visualizer=False)
    partitioner = registry.build("partitioner", "iid", sites=options.sites)
    sites = make_sites(datamodule, partitioner, extractor=model.model, seed=options.seed)
    results = [scores_of(precision, sites, model, datamodule, options.budget) for precision in PRECISIONS]
    for site in sites:
        site.close()
    for result in results:
        result["change"] = {name: result[name] - results[0][name] for name in FIGURES}
    return results


def main() -> None:
    """Read the command line, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, help="data folder")
    parser.add_argument("--category", required=True)
    parser.add_argument("--sites", type=int, default=5)
    parser.add_argument("--budget", type=int, default=5000, help="rows of each site's bank and of the global one")
    parser.add_argument("--side", type=int, default=320, help="height and width of pictures")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    report = {
        "measures": "scores of the global bank on the test pictures, and bytes of bank that all sites sent",
        "compared_with": "rows in float32",
        "category": options.category,
        "sites": options.sites,
        "budget": options.budget,
        "results": run(options),
        "repeats": 1,
        **circumstances("anomalib", "flwr", "timm"),
        "seed": options.seed,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
