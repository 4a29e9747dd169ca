"""What deleted pixels are replaced by."""

from __future__ import annotations

import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from anomalib_federated.interfaces.explainer import Case

SIGMA = 16.0
"""Of the blur, in pixels that the network sees."""


def reference_of(case: Case) -> Tensor:
    """The picture, blurred.

    Args:
        case: The picture.

    Returns:
        Shape ``(3, h, w)``, float32, normalised like the case's image.
    """
    return torch.from_numpy(gaussian_filter(case.image.numpy(), (0, SIGMA, SIGMA), mode="nearest"))
