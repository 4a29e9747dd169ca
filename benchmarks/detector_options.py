"""Measure the detector's options (size, aspect ratio, layer scales, image score) on one category, one JSON line each.

Every line is one setting, trained on the pooled training pictures and scored on the test pictures with the same bank
budget, seed and machine, so that lines of one run can be compared.
"""

from __future__ import annotations

import argparse
import json
import time
from importlib.metadata import version
from itertools import product
from typing import get_args

from anomalib_federated.data import AutoVI
from anomalib_federated.evaluation.experiments.training import train_centralised
from anomalib_federated.evaluation.measuring.measure import measure
from anomalib_federated.evaluation.measuring.scored_image import scored_images
from anomalib_federated.models import FederatedPatchcore
from anomalib_federated.models.image_score import ScoreRule


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", required=True)
    parser.add_argument("--category", required=True)
    parser.add_argument("--budget", type=int, default=5000)
    parser.add_argument("--sides", type=int, nargs="+", default=[256, 320])
    parser.add_argument("--aspect", nargs="+", choices=["squared", "kept"], default=["squared", "kept"])
    parser.add_argument("--scales", nargs="+", choices=["unscaled", "scaled"], default=["unscaled", "scaled"])
    parser.add_argument(
        "--rules", nargs="+", choices=get_args(ScoreRule), default=["max", "smoothed_max", "top_fraction"]
    )
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    datamodule = AutoVI(arguments.root, [arguments.category])
    datamodule.setup()
    for side, aspect, scales in product(arguments.sides, arguments.aspect, arguments.scales):
        model = FederatedPatchcore(
            budget=arguments.budget,
            image_size=(side, side),
            keep_aspect_ratio=aspect == "kept",
            layer_scales=[1.0, 1.0] if scales == "unscaled" else None,
            seed=arguments.seed,
            visualizer=False,
        )
        began = time.perf_counter()
        model.bank = train_centralised(model, datamodule)
        trained = time.perf_counter()
        for rule in arguments.rules:
            model.scorer.image_score.rule = rule
            figures = measure(scored_images(model, datamodule.test_data), resamples=0)
            setting = {"side": side, "aspect": aspect, "layer_scales": scales, "score": rule}
            print(
                json.dumps(
                    {
                        "measures": "detector options, centralised",
                        "category": arguments.category,
                        "rows": arguments.budget,
                        **setting,
                        "image_auroc": figures.headline("image_auroc"),
                        "average_precision": figures.headline("average_precision"),
                        "auspro_0.05": figures.headline("auc_spro@0.05"),
                        "train_seconds": round(trained - began, 1),
                        "seed": arguments.seed,
                        "torch": version("torch"),
                    }
                ),
                flush=True,
            )


if __name__ == "__main__":
    main()
