"""Annotated defects in the size in which the network sees a picture, where explanations are judged."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import adaptive_max_pool2d

from anomalib_federated.explanations.faithfulness.relevance import RelevanceError


def mask_seen(masks: Sequence[NDArray[np.bool_]], size: tuple[int, int]) -> Tensor:
    """All defects of a picture together, resized.

    A pixel counts as defective if any part of it is, so that no thin scratch gets lost.

    Args:
        masks: One or more, each of shape ``(H, W)``, bool: the picture's own size.
        size: Height and width of the result.

    Returns:
        Shape ``size``, bool; true somewhere.

    Raises:
        RelevanceError: If there is no mask, or none marks a pixel.

    Example:
        >>> scratch = np.zeros((4, 8), dtype=bool)
        >>> scratch[3, 5] = True
        >>> mask_seen([scratch], (2, 4)).nonzero().tolist()
        [[1, 2]]
    """
    if not masks or not any(mask.any() for mask in masks):
        msg = "The picture has no annotated defect; pointing and overlap are measured on pictures with a mask."
        raise RelevanceError(msg)
    union = torch.from_numpy(np.logical_or.reduce(masks)).float()
    return adaptive_max_pool2d(union[None, None], size)[0, 0] > 0
