"""Do the most relevant pixels cover the defect?"""

from __future__ import annotations

from torch import Tensor

from anomalib_federated.explanations.faithfulness.relevance import checked_relevance


def mask_overlap(relevance: Tensor, mask: Tensor) -> float:
    """Intersection over union of the defect and of as many of the most relevant pixels as it has.

    So no threshold is tuned on the truth: all that is taken from the mask is its area. Where pixels tie at the border
    between those that count and those that do not, each of them counts in part, which is what drawing among them gives
    on average: a constant map covers the defect as well as chance does.

    Args:
        relevance: Shape ``(h, w)``.
        mask: Shape ``(h, w)``, bool, true somewhere.

    Raises:
        RelevanceError: If the map has another shape than the mask, or is not finite.

    Example:
        >>> import torch
        >>> mask = torch.tensor([[True, True, False, False]])
        >>> mask_overlap(torch.tensor([[4.0, 1.0, 3.0, 2.0]]), mask)  # one of three
        0.3333333333333333
    """
    relevance = checked_relevance(relevance, (mask.shape[0], mask.shape[1]))
    area = int(mask.sum())
    border = relevance.flatten().topk(area).values[-1]
    above, tied = relevance > border, relevance == border
    share = (area - int(above.sum())) / int(tied.sum())
    shared = int((above & mask).sum()) + share * int((tied & mask).sum())
    return shared / (2 * area - shared)
