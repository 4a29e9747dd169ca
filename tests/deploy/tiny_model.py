"""A stand-in for a detector: a real, tiny OpenVINO model that judges pictures by their brightest pixel.

A pixel's raw score is the mean of its three channels, the picture's is the largest; 0.6 is the threshold and lands on
0.5 after normalisation.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import openvino as ov
import openvino.opset13 as ops
from PIL import Image

MANIFEST = {"format": 1, "category": "pipe_clip", "image_threshold": 0.6, "pixel_threshold": 0.6, "bank_rows": 7}
RAW_THRESHOLD = 0.6


def save_model(
    folder: Path, manifest: object = MANIFEST, *, black_is_nan: str = "", map_name: str = "anomaly_map"
) -> Path:
    picture = ops.parameter([-1, 3, -1, -1], np.float32, name="input")
    picture.output(0).set_names({"input"})
    raw = ops.reduce_mean(picture, ops.constant(np.array([1])), keep_dims=True)
    normal = ops.add(raw, np.float32(0.5 - RAW_THRESHOLD))
    area = ops.constant(np.array([1, 2, 3]))
    score = ops.reduce_max(normal, area, keep_dims=False)
    # x / x is 1, but not a number where x is 0.
    if black_is_nan == "map":
        normal = ops.multiply(normal, ops.divide(raw, raw))
    if black_is_nan == "score":
        brightest = ops.reduce_max(raw, area, keep_dims=False)
        score = ops.multiply(score, ops.divide(brightest, brightest))
    outputs = {
        "pred_score": score,
        "pred_label": ops.greater(score, np.float32(0.5)),
        map_name: normal,
        "pred_mask": ops.greater(normal, np.float32(0.5)),
    }
    results = []
    for name, node in outputs.items():
        node.output(0).set_names({name})
        results.append(ops.result(node))
    model = ov.Model(results, [picture], "tiny")
    if manifest is not None:
        text = manifest if isinstance(manifest, str) else json.dumps(manifest)
        model.set_rt_info(text, ["anomalib_federated", "manifest"])
    folder.mkdir(parents=True, exist_ok=True)
    ov.save_model(model, folder / "model.xml", compress_to_fp16=False)
    return folder


def part(value: int = 60, *, spot: int | None = None, size: tuple[int, int] = (40, 48)) -> np.ndarray:
    image = np.full((*size, 3), value, np.uint8)
    if spot is not None:
        image[10:20, 5:17] = spot
    return image


def save(path: Path, image: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)
    return path
