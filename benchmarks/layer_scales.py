"""Measure the constants by which each layer's features are divided, on public photographs.

The constant of a layer is the root mean square norm of its pooled feature vectors, so that every layer contributes
alike to a distance. The photographs come with scikit-image; nothing private is spent. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
from importlib.metadata import version

import torch
from skimage import data
from torch.nn.functional import avg_pool2d

from anomalib_federated.backbones import DEFAULT_BACKBONE, Backbone
from anomalib_federated.models.patch_features import POOLING

PHOTOGRAPHS = ("astronaut", "brick", "camera", "cat", "coffee", "grass", "gravel", "rocket")


def photograph(name: str) -> torch.Tensor:
    pixels = torch.from_numpy(getattr(data, name)()).float() / 255
    colour = pixels.expand(3, -1, -1) if pixels.ndim == 2 else pixels[..., :3].permute(2, 0, 1)
    return torch.nn.functional.interpolate(
        colour.unsqueeze(0), size=(256, 256), mode="bilinear", antialias=True, align_corners=False
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbone", default=DEFAULT_BACKBONE)
    parser.add_argument("--layers", nargs="+", default=["blocks.1", "blocks.2", "blocks.4", "blocks.6"])
    parser.add_argument("--weights")
    arguments = parser.parse_args()
    backbone = Backbone(arguments.backbone, layers=arguments.layers, weights=arguments.weights)
    mean, std = (torch.tensor(values).reshape(1, 3, 1, 1) for values in (backbone.mean, backbone.std))
    images = torch.cat([(photograph(name) - mean) / std for name in PHOTOGRAPHS])
    with torch.inference_mode():
        maps = [avg_pool2d(layer, POOLING, 1, POOLING // 2) for layer in backbone(images)]
    scales = {name: float(layer.pow(2).sum(1).mean().sqrt()) for name, layer in zip(backbone.layers, maps, strict=True)}
    print(
        json.dumps(
            {
                "measures": "root mean square norm of pooled features",
                "backbone": arguments.backbone,
                "photographs": len(PHOTOGRAPHS),
                "layer_scales": {name: float(f"{value:.3g}") for name, value in scales.items()},
                "torch": version("torch"),
                "timm": version("timm"),
            }
        )
    )


if __name__ == "__main__":
    main()
