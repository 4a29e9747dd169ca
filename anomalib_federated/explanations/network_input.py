"""A picture as the network gets it."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomalib_federated.models import FederatedPatchcore


def network_input(model: FederatedPatchcore, picture: NDArray[np.uint8]) -> Tensor:
    """Resized and normalised pixels, on the model's device.

    Args:
        model: The detector.
        picture: ``(H, W, 3)`` uint8 RGB.

    Returns:
        Shape ``(1, 3, h, w)``, float32.
    """
    pixels = torch.from_numpy(picture).permute(2, 0, 1)[None].float().to(model.device) / 255
    return pixels if model.pre_processor is None else model.pre_processor.transform(pixels)
