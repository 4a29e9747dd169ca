"""Exports of a bank in every format and precision against torch, on the test pictures of a data set.

Thresholds and the ranges of int8 come from normal training pictures; the test pictures are only measured on. Prints one
JSON line.

Example:
    python benchmarks/openvino_parity.py --root DIR --bank bank.safetensors --step 4
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from circumstances import circumstances
from sklearn.metrics import roc_auc_score

from anomalib_federated.bank import MemoryBank
from anomalib_federated.data import AutoVI
from anomalib_federated.deploy.export import ExportSettings, NormalPictures, export_bundle
from anomalib_federated.deploy.runtimes import Runtime, openvino_runtime, torch_file_runtime
from anomalib_federated.evaluation.measuring.calibrate import calibrate
from anomalib_federated.models import FederatedPatchcore, detector_of
from anomalib_federated.models.detector_graph import OUTPUTS

EXPORTS = {
    "openvino fp32": {},
    "openvino fp32, int8 rows": {"rows": "int8"},
    "openvino fp16": {"precision": "fp16"},
    "openvino int8": {"precision": "int8"},
    "onnx fp32 (read by OpenVINO)": {"runtime": "onnx"},
    "torch fp32": {"runtime": "torch"},
}
CALIBRATION = 32


def reference(model: FederatedPatchcore, category: str) -> Runtime:
    """The detector in torch, as it is trained and tested."""

    def run(images: torch.Tensor) -> dict[str, Any]:
        with torch.inference_mode():
            found = model(images, category)
        return {name: getattr(found, name).numpy() for name in OUTPUTS}

    return run


def compared(expected: list[dict[str, Any]], runtime: Runtime, pictures: list[torch.Tensor], labels: list[int]) -> dict:
    """Differences over the pictures, and what they do to the AUROC."""
    found = [runtime(picture[None]) for picture in pictures]
    scores, wanted = ([float(each["pred_score"][0]) for each in some] for some in (found, expected))
    pairs = list(zip(found, expected, strict=True))
    return {
        "verdict_flips": sum(bool(a["pred_label"][0]) != bool(b["pred_label"][0]) for a, b in pairs),
        "max_score_difference": float(np.abs(np.subtract(scores, wanted)).max()),
        "max_map_difference": max(float(np.abs(a["anomaly_map"] - b["anomaly_map"]).max()) for a, b in pairs),
        "auroc_change": float(roc_auc_score(labels, scores) - roc_auc_score(labels, wanted)),
    }


def measured(model: FederatedPatchcore, data: AutoVI, category: str, step: int) -> dict[str, Any]:
    """Results per export of one category."""
    test, train = data.test_data.of_category(category), data.train_data.of_category(category)
    items = [test[index] for index in range(0, len(test), step)]
    pictures, labels = [item.image for item in items], [int(item.gt_label) for item in items]
    run = reference(model, category)
    expected = [run(picture[None]) for picture in pictures]
    normal = [train[index].image for index in range(0, len(train), max(1, len(train) // CALIBRATION))]
    results = {}
    for name, settings in EXPORTS.items():
        with tempfile.TemporaryDirectory() as folder:
            path = export_bundle(
                model,
                Path(folder) / "bundle",
                settings=ExportSettings(tolerance=1.0, **settings),
                pictures={category: NormalPictures(compared=normal[:2], calibration=normal)},
            ).model_path(category)
            exported = torch_file_runtime(path) if path.suffix == ".pt" else openvino_runtime(path)
            results[name] = compared(expected, exported, pictures, labels)
    return {"pictures": len(pictures), "anomalous": sum(labels), "exports": results}


def main() -> None:
    """Read the command line, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, help="data folder")
    parser.add_argument("--bank", type=Path, required=True, help="memory bank of its categories")
    parser.add_argument("--step", type=int, default=1, help="take every so manieth test picture (1)")
    options = parser.parse_args()
    bank = MemoryBank.load(options.bank)
    results = {}
    for category in bank.categories:
        data = AutoVI(options.root, [category])
        data.setup()
        model = detector_of(bank.for_category(category))
        calibrate(model, data.val_data)
        results[category] = measured(model, data, category, options.step)
    report = {
        "measures": "exported detectors on test pictures; scores and maps are normalised to 0 .. 1",
        "compared_with": "the detector in torch, float32",
        "rows": len(bank),
        "step": options.step,
        "categories": results,
        **circumstances("anomalib", "openvino", "nncf"),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
