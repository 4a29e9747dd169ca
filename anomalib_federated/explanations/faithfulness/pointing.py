"""Does the most relevant pixel lie on the defect?

Zhang et al. 2018, *Top-down Neural Attention by Excitation Backprop*, https://arxiv.org/abs/1608.00507, section 4.3: a
hit if the maximum of the map lies on the object, or no further from it than a tolerance.
"""

from __future__ import annotations

import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from anomalib_federated.explanations.faithfulness.relevance import checked_relevance

TOLERANCE = 8
"""Pixels that the network sees. The cells of the default backbone's patch grid are 8 pixels wide, and no map tells
where in a cell the defect is. (Zhang et al. take 15 pixels of pictures that are about 500 wide.)"""


def pointing(relevance: Tensor, mask: Tensor, *, tolerance: float = TOLERANCE) -> float:
    """Share of the most relevant pixels that lie on the defect or beside it.

    Where one pixel is the most relevant this is 0 or 1. Where several tie it is the chance that one drawn among them
    hits: a map that is constant, and so points nowhere, gets the share of the picture that counts as a hit.

    Args:
        relevance: Shape ``(h, w)``.
        mask: Shape ``(h, w)``, bool, true somewhere.
        tolerance: Largest distance of a hit to the defect, in pixels.

    Raises:
        RelevanceError: If the map has another shape than the mask, or is not finite.

    Example:
        >>> mask = torch.tensor([[True, False, False, False]])
        >>> pointing(torch.tensor([[0.0, 9.0, 0.0, 0.0]]), mask, tolerance=1)
        1.0
        >>> pointing(torch.tensor([[0.0, 9.0, 0.0, 9.0]]), mask, tolerance=1)
        0.5
    """
    relevance = checked_relevance(relevance, (mask.shape[0], mask.shape[1]))
    near = torch.from_numpy(distance_transform_edt(~mask.numpy())) <= tolerance
    return float(near[relevance == relevance.max()].float().mean())
