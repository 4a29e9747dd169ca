"""The demonstration: generated data, three methods, one table."""

from __future__ import annotations

import logging
from pathlib import Path

from anomalib_federated import registry
from anomalib_federated.data import AutoVI, make_demo_dataset
from anomalib_federated.data.demo.catalog import CATALOG
from anomalib_federated.evaluation.experiments.federated_run import score_method
from anomalib_federated.evaluation.experiments.training import train_centralised, train_federated
from anomalib_federated.evaluation.report import write_report
from anomalib_federated.evaluation.results import Result
from anomalib_federated.federation import make_agreement, make_sites
from anomalib_federated.models import FederatedPatchcore

logger = logging.getLogger(__name__)

ROWS = 1000
"""Bank rows per category: few enough for two cores and a few minutes."""

IMAGE_SIZE = (256, 256)
"""Smaller than the detector's default, since the demo's pictures are small."""

FEDERATIONS = {"federated_iid": "iid", "federated_category": "category"}
"""The federated methods and their partitioners."""


def run_demo(output: Path, *, seed: int = 0) -> list[Result]:
    """Generate the demo data set and compare centralised with federated training on it.

    Args:
        output: Folder to write: ``data``, ``metrics``` and a folder per method. Categories that are there are used
            again, whatever seed made them.
        seed: Decides every random choice.

    Returns:
        One result per method and category.
    """
    data = output / "data"
    # Each category is there whole or not at all, so an interrupted run goes on with those that are missing.
    if missing := [category.name for category in CATALOG if not (data / category.name).exists()]:
        make_demo_dataset(data, seed=seed, categories=missing)
    datamodule = AutoVI(data, seed=seed)
    datamodule.setup()
    model = FederatedPatchcore(budget=ROWS, image_size=IMAGE_SIZE, seed=seed, visualizer=False)
    bank = train_centralised(model, datamodule)
    results = score_method(model, datamodule, bank, method="centralised", output=output, seed=seed)
    for method, name in FEDERATIONS.items():
        sites = make_sites(datamodule, registry.build("partitioner", name), extractor=model.model, seed=seed)
        strategy = registry.build("strategy", "federated_coreset", budget=ROWS, seed=seed)
        agreement = make_agreement(model, seed=seed)
        federation = train_federated(sites, strategy, agreement, output=output / method)
        results += score_method(
            model, datamodule, federation.bank, method=method, output=output, traffic=federation.traffic, seed=seed
        )
    write_report(results, output, output / "report.html")
    return results
