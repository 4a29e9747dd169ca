"""How faithful every explainer is on defective pictures of a category, next to a random map and an edge detector.

A bank is selected from the training pictures, or read. All methods explain the same test pictures, drawn by the seed;
the random map and the edge detector look at no detector, and have to fail the sanity checks. Prints one JSON line.

Example:
    python benchmarks/faithfulness.py --root DIR --category magnetic_tile --budget 2000 --pictures 8 --checked 4
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from circumstances import circumstances
from pydantic_core import to_jsonable_python

from anomalib_federated import registry
from anomalib_federated.bank import MemoryBank
from anomalib_federated.data import AutoVI
from anomalib_federated.evaluation.experiments.training import train_centralised
from anomalib_federated.evaluation.faithfulness.measure import measure_faithfulness
from anomalib_federated.evaluation.measuring.calibrate import calibrate
from anomalib_federated.interfaces.explainer import Explainer
from anomalib_federated.models import FederatedPatchcore
from anomalib_federated.testing.fake_explainers import EdgeDetector, RandomMap

COARSE = {"occlusion": {"class_path": "occlusion", "init_args": {"box": 32, "stride": 32}}}
"""Boxes side by side: 100 scores a picture of 320 pixels instead of the 361 of the default."""

FAKES: dict[str, Explainer] = {"(random map)": RandomMap(), "(edge detector)": EdgeDetector()}


def detector(options: argparse.Namespace, data: AutoVI) -> FederatedPatchcore:
    """With the bank that was named, or one of all training pictures, which is written there."""
    model = FederatedPatchcore(budget=options.budget, image_size=(options.side, options.side), seed=options.seed)
    path = options.bank
    model.bank = (
        MemoryBank.load(path) if path and path.exists() else train_centralised(model, data, category=options.category)
    )
    if path and not path.exists():
        model.bank.save(path)
    calibrate(model, data.val_data)
    return model.eval()


def main() -> None:
    """Read the command line, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, help="data folder")
    parser.add_argument("--category", required=True)
    parser.add_argument("--bank", type=Path, help="memory bank to read; written if it is not there")
    parser.add_argument("--budget", type=int, default=2000, help="rows of the bank, if none is read")
    parser.add_argument("--side", type=int, default=320, help="height and width of pictures")
    parser.add_argument("--pictures", type=int, default=8, help="defective test pictures")
    parser.add_argument("--checked", type=int, default=4, help="of which the sanity checks are made on so many")
    parser.add_argument("--steps", type=int, default=16, help="of deletion and insertion")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--explainers", nargs="+", default=list(registry.available("explainer")))
    options = parser.parse_args()
    data = AutoVI(options.root, [options.category], seed=options.seed)
    data.setup()
    explainers = {name: registry.build("explainer", COARSE.get(name, name)) for name in options.explainers} | FAKES
    result = measure_faithfulness(
        detector(options, data),
        data,
        options.category,
        explainers=explainers,
        pictures=options.pictures,
        checked=options.checked,
        steps=options.steps,
        seed=options.seed,
    )
    report = {
        "measures": "means over pictures with 95 % bootstrap intervals; median seconds of an explanation",
        "compared_with": "a map drawn per patch, and the edges of the picture",
        **{name: getattr(options, name) for name in ("budget", "side", "pictures", "checked", "steps", "seed")},
        "coarse": COARSE,
        "result": to_jsonable_python(result),
        **circumstances("timm", "scipy", "shap"),
    }
    sys.stdout.write(f"{json.dumps(report)}\n")


if __name__ == "__main__":
    main()
