"""Patch features as PatchCore defines them: layers pooled over 3 x 3, brought to one grid, concatenated.

Roth et al. 2022, *Towards Total Recall in Industrial Anomaly Detection*, https://arxiv.org/abs/2106.08265, section 3.1.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

from anomalib_federated.backbones import Backbone, layer_scales
from anomalib_federated.bank import FeatureSpace
from anomalib_federated.bank.feature_space import Frame
from anomalib_federated.models.image_transform import oversampling
from anomalib_federated.models.part_frame import Placement, place_parts, to_frame

POOLING = 3


class PatchFeatureExtractor(nn.Module):
    """Pictures to a grid of patch features.

    Args:
        backbone: The frozen network.
        scales: Constant per layer by which its features are divided, so that a layer with large numbers does not drown
            the others; ``None`` takes those measured for the backbone.
        image_size: Height and width to which pictures are resized; ``None`` keeps each picture's own.
        keep_aspect_ratio: If true, ``image_size`` sets only the area.
        frame: ``part`` turns, moves and scales each picture so that the part in it lies level.

    Attributes:
        space: All that decides these features.

    Raises:
        ValueError: If there is not one positive scale per layer, or the size is impossible.
    """

    def __init__(
        self,
        backbone: Backbone,
        *,
        scales: Sequence[float] | None = None,
        image_size: tuple[int, int] | None = (320, 320),
        keep_aspect_ratio: bool = False,
        frame: Frame = "picture",
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.space = FeatureSpace(
            backbone=backbone.name,
            weights=backbone.digest,
            layers=backbone.layers,
            layer_scales=tuple(map(float, scales)) if scales else layer_scales(backbone.name, backbone.layers),
            image_size=(image_size[0], image_size[1]) if image_size else None,
            keep_aspect_ratio=keep_aspect_ratio,
            mean=backbone.mean,
            std=backbone.std,
            pooling=POOLING,
            dim=sum(backbone.channels),
            frame=frame,
        )

    @classmethod
    def of_space(cls, space: FeatureSpace, *, weights: str | None = None) -> PatchFeatureExtractor:
        """The extractor that a feature space describes.

        Args:
            space: All that decides the features. Whether the weights are those that it names is left to the caller.
            weights: File of the backbone's weights; ``None`` takes the packaged ones, else timm's hub.

        Raises:
            BackboneError: If the backbone or its weights cannot be had.
            ValueError: If the space is impossible.
        """
        return cls(
            Backbone(space.backbone, layers=space.layers, weights=weights),
            scales=space.layer_scales,
            image_size=space.image_size,
            keep_aspect_ratio=space.keep_aspect_ratio,
            frame=space.frame,
        )

    def map_size(self, images: Tensor) -> tuple[int, int]:
        """Height and width that the network sees of pictures as they arrive; their anomaly maps have it too."""
        height, width = (side // oversampling(self.space) for side in images.shape[-2:])
        return height, width

    def place(self, images: Tensor) -> Placement | None:
        """Where the parts of pictures lie; ``None`` if features are made in the picture's own frame.

        Args:
            images: Resized and normalised pixels, shape ``(batch, 3, height, width)``.
        """
        return place_parts(images, self._frame_size(images)) if self.space.frame == "part" else None

    def forward(self, images: Tensor, placement: Placement | None = None) -> Tensor:
        """Extract features.

        Args:
            images: Resized and normalised pixels, shape ``(batch, 3, height, width)``.
            placement: What :meth:`place` gave for them, where the caller needs it too; ``None`` asks it here.

        Returns:
            Features of shape ``(batch, d, rows, columns)``, on the grid of the first layer.
        """
        return self.joined(self.layer_maps(images, placement))

    def layer_maps(self, images: Tensor, placement: Placement | None = None) -> list[Tensor]:
        """What the network's layers answer, each of shape ``(batch, channels, rows, columns)``; see :meth:`forward`."""
        placement = placement or self.place(images)
        if placement is not None:
            images = to_frame(images, placement, self._frame_size(images), oversampling=oversampling(self.space))
        maps: list[Tensor] = self.backbone(images)
        return maps

    def joined(self, layers: Sequence[Tensor]) -> Tensor:
        """The features, shape ``(batch, d, rows, columns)``, that follow from what :meth:`layer_maps` gave."""
        maps = [avg_pool2d(layer, POOLING, 1, POOLING // 2) for layer in layers]
        grid = maps[0].shape[-2:]
        maps = [maps[0], *(interpolate(layer, size=grid, mode="bilinear") for layer in maps[1:])]
        scaled = [
            layer if scale == 1 else layer / scale
            for layer, scale in zip(maps, self.space.layer_scales, strict=True)
        ]  # fmt: skip
        return torch.cat(scaled, 1)

    def _frame_size(self, images: Tensor) -> tuple[int, int]:
        fixed = None if self.space.keep_aspect_ratio else self.space.image_size
        return fixed or self.map_size(images)


def patch_rows(embedding: Tensor) -> Tensor:
    """The features of a grid below each other.

    Args:
        embedding: Shape ``(batch, d, rows, columns)``.

    Returns:
        Shape ``(batch * rows * columns, d)``.
    """
    return embedding.permute(0, 2, 3, 1).flatten(0, 2)
