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
import numpy.typing as npt
import torch
from circumstances import circumstances
from sklearn.metrics import roc_auc_score

from anomalib_federated.bank import MemoryBank
from anomalib_federated.data import AutoVI
from anomalib_federated.deploy.export import ExportSettings, NormalPictures, export_bundle
from anomalib_federated.deploy.runtimes import Runtime, openvino_runtime, torch_file_runtime
from anomalib_federated.evaluation.measuring.calibrate import calibrate, calibrated_as_exported
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


def raw_scores(answers: list[dict[str, Any]], model: FederatedPatchcore, category: str) -> npt.NDArray[np.float64]:
    """Feature distances out of normalised scores."""
    normalised = np.array([float(each["pred_score"][0]) for each in answers])
    return model.post_processor.thresholds[category].image * normalised / (1 - normalised)


def compared(
    expected: list[dict[str, Any]],
    wanted: npt.NDArray[np.float64],
    found: list[dict[str, Any]],
    scores: npt.NDArray[np.float64],
    labels: list[int],
) -> dict[str, Any]:
    """Differences over the pictures, and what they do to the AUROC."""
    pairs = list(zip(found, expected, strict=True))
    change = np.abs(scores - wanted) / np.ptp(wanted)
    return {
        "verdict_flips": sum(bool(a["pred_label"][0]) != bool(b["pred_label"][0]) for a, b in pairs),
        "max_score_change_of_range": float(change.max()),
        "mean_score_change_of_range": float(change.mean()),
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
    wanted = raw_scores(expected, model, category)
    as_exported = calibrated_as_exported(model, data.val_data)
    normal = [train[index].image for index in range(0, len(train), max(1, len(train) // CALIBRATION))]
    results = {}
    for name, settings in EXPORTS.items():
        with tempfile.TemporaryDirectory() as folder:
            path = export_bundle(
                as_exported,
                Path(folder) / "bundle",
                settings=ExportSettings(tolerance=1.0, **settings),
                pictures={category: NormalPictures(compared=normal[:2], calibration=normal)},
                reference=model,
            ).model_path(category)
            exported = torch_file_runtime(path) if path.suffix == ".pt" else openvino_runtime(path)
            found = [exported(picture[None]) for picture in pictures]
        results[name] = compared(expected, wanted, found, raw_scores(found, as_exported, category), labels)
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
        "measures": "exported detectors on test pictures; maps are normalised to 0 .. 1",
        "compared_with": "the detector in torch, float32, which compares every patch with every row",
        "rows": len(bank),
        "step": options.step,
        "categories": results,
        **circumstances("anomalib", "openvino", "nncf"),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
