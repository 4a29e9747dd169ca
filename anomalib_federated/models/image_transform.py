"""From a picture to what the backbone sees: resize (with antialiasing, so that detail is averaged) and normalise.

The same operations run in training, testing and in the exported graph, so that a picture has one score everywhere.
"""

from __future__ import annotations

from typing import Any

import torch
from anomalib.pre_processing.utils._transform_registry import TRANSFORM_REGISTRY
from torch import Tensor
from torchvision.transforms.v2 import Compose, Normalize, Resize, Transform
from torchvision.transforms.v2 import functional as F  # noqa: N812 - torchvision's own alias

from anomalib_federated.bank import FeatureSpace

STRIDE = 16
"""Sides of resized pictures are multiples of this: the stride of the deepest layer in use."""

PART_OVERSAMPLING = 2
"""How many times larger than the network's size a picture is whose part is to be turned, so that detail stays sharp."""


class ResizeToArea(Transform):
    """Resize to a given area, keeping the picture's shape; sides are rounded to multiples of 16 pixels.

    Args:
        area: Wished number of pixels.

    Example:
        >>> import torch
        >>> ResizeToArea(area=256 * 256)(torch.zeros(3, 750, 1000)).shape
        torch.Size([3, 224, 288])
    """

    def __init__(self, area: int) -> None:
        super().__init__()
        self.area = area

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:  # noqa: ANN401 - torchvision's signature
        """Resize a picture (bilinear) or a mask (nearest)."""
        del params
        height, width = F.get_size(inpt)
        size = area_size(torch.tensor(height), torch.tensor(width), area=self.area)
        return F.resize(inpt, [int(side) for side in size], antialias=True)


TRANSFORM_REGISTRY.register(ResizeToArea)


def area_size(height: Tensor, width: Tensor, *, area: int) -> tuple[Tensor, Tensor]:
    """Height and width of about ``area`` pixels in the shape of ``height`` to ``width``, in multiples of 16.

    Takes and gives scalar int tensors, so that it can be traced into an exported graph.
    """
    ratio = height.float() / width.float()
    sides = (torch.sqrt(area * ratio), torch.sqrt(area / ratio))
    new_height, new_width = ((side / STRIDE).round().clamp_min(1).long() * STRIDE for side in sides)
    return new_height, new_width


def oversampling(space: FeatureSpace) -> int:
    """How many times larger than the network's size the sides of transformed pictures are."""
    return PART_OVERSAMPLING if space.frame == "part" and space.image_size is not None else 1


def image_transform(space: FeatureSpace) -> Transform:
    """The transform of a feature space, for pictures of floats in 0 .. 1 of shape ``(..., 3, height, width)``."""
    steps: list[Transform] = []
    if space.image_size is not None and _keeps_shape(space):
        steps.append(ResizeToArea(_area(space.image_size, space)))
    elif space.image_size is not None:
        steps.append(Resize(list(space.image_size), antialias=True))
    return Compose([*steps, Normalize(mean=list(space.mean), std=list(space.std))])


class TraceableTransform(torch.nn.Module):
    """The same operations as :func:`image_transform`, in a form that traces with sizes left open.

    Args:
        space: The feature space.
    """

    def __init__(self, space: FeatureSpace) -> None:
        super().__init__()
        self.space = space
        self.register_buffer("mean", torch.tensor(space.mean).reshape(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(space.std).reshape(1, 3, 1, 1))
        self.mean: Tensor
        self.std: Tensor

    def forward(self, images: Tensor) -> Tensor:
        """Resize and normalise pictures of shape ``(batch, 3, height, width)``."""
        size: Any = self.space.image_size
        if size is None:
            return (images - self.mean) / self.std
        height, width = images.shape[2:]
        if _keeps_shape(self.space):
            sides = (torch.as_tensor(side) for side in (height, width))
            size = area_size(*sides, area=_area(size, self.space))
        # The division is done on the small matrix: a step less over the picture, and one that OpenVINO 2026.4 cannot
        # compile after a product if the size of pictures is fixed.
        shrunk = (resizing(height, size[0]) / self.std) @ (images @ resizing(width, size[1]).T)
        return shrunk - self.mean / self.std


def resizing(side: int, wished: int) -> Tensor:
    """The matrix that resizes one side of pictures bilinearly with antialiasing, as ``interpolate`` does.

    Plain arithmetic, so that every runtime computes the same: ONNX's own antialiasing differs from torch's. Two such
    products also take less time in OpenVINO than its own resizing of large pictures.

    Args:
        side: Its length in pixels.
        wished: Its length afterwards.

    Returns:
        Shape ``(wished, side)``, float32; each row sums to 1.

    Example:
        >>> resizing(4, 2)
        tensor([[0.4286, 0.4286, 0.1429, 0.0000],
                [0.0000, 0.1429, 0.4286, 0.4286]])
    """
    pixels, wished_pixels = torch.arange(side) + 0.5, torch.arange(wished) + 0.5
    # Sums, not the numbers themselves: those would be frozen into a graph.
    scale = torch.ones_like(pixels).sum() / torch.ones_like(wished_pixels).sum()
    centres = wished_pixels * scale
    weights = (1 - ((pixels - centres[:, None]) / scale.clamp_min(1)).abs()).clamp_min(0)
    return weights / weights.sum(1, keepdim=True)


def _keeps_shape(space: FeatureSpace) -> bool:
    return space.keep_aspect_ratio or space.frame == "part"  # a part that is squashed changes its shape as it turns


def _area(size: tuple[int, int], space: FeatureSpace) -> int:
    return size[0] * size[1] * oversampling(space) ** 2
