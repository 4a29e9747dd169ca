"""Compare the exported detectors with torch on every test picture of a data set, from file to verdict.

Reads what ``demo`` or ``federate`` wrote. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from anomalib_federated.bank import MemoryBank
from anomalib_federated.data import AutoVI
from anomalib_federated.deploy.station import Station, read_image
from anomalib_federated.models import FederatedPatchcore
from anomalib_federated.models.post_processor import Thresholds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", required=True, help="data folder")
    parser.add_argument("--method", type=Path, required=True, help="folder of a method: bank.safetensors and openvino/")
    arguments = parser.parse_args()
    bank = MemoryBank.load(arguments.method / "bank.safetensors")
    model = FederatedPatchcore(
        bank.space.backbone,
        image_size=bank.space.image_size,
        keep_aspect_ratio=bank.space.keep_aspect_ratio,
        frame=bank.space.frame,
        layer_scales=bank.space.layer_scales,
        visualizer=False,
    ).eval()
    model.bank = bank
    datamodule = AutoVI(arguments.root, list(bank.categories))
    datamodule.setup()
    flips, anomalous, score_difference, map_difference = 0, 0, 0.0, 0.0
    for category in bank.categories:
        station = Station(arguments.method / "openvino" / category)
        thresholds = Thresholds(station.manifest["image_threshold"], station.manifest["pixel_threshold"])
        model.post_processor.thresholds[category] = thresholds
        for path in datamodule.test_data.of_category(category).samples["image_path"]:
            pixels = read_image(Path(path))
            with torch.inference_mode():
                expected = model(torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255, category)
            verdict = station.inspect(pixels)
            flips += verdict.anomalous != bool(expected.pred_label)
            anomalous += verdict.anomalous
            score_difference = max(score_difference, abs(verdict.score - float(expected.pred_score)))
            difference = np.abs(verdict.anomaly_map - expected.anomaly_map[0, 0].numpy()).max()
            map_difference = max(map_difference, float(difference))
    print(
        json.dumps(
            {
                "measures": "exported detector against torch, from picture file to verdict, normalised scores",
                "categories": list(bank.categories),
                "pictures": len(datamodule.test_data),
                "anomalous": int(anomalous),
                "verdict_flips": int(flips),
                "max_score_difference": score_difference,
                "max_map_difference": map_difference,
                "openvino": version("openvino"),
                "torch": version("torch"),
            }
        )
    )


if __name__ == "__main__":
    main()
