"""How alike two relevance maps order the pixels of a picture."""

from __future__ import annotations

from scipy.stats import spearmanr
from torch import Tensor

from anomalib_federated.explanations.faithfulness.relevance import checked_relevance


def rank_correlation(first: Tensor, second: Tensor) -> float:
    """Spearman's rank correlation of two maps, pixels that tie sharing their mean rank.

    It is not defined for a constant map, so it is told what it would mean: two constant maps say the same (1), a
    constant one and another have no order in common (0).

    Args:
        first: Shape ``(h, w)``.
        second: The same shape.

    Raises:
        RelevanceError: If the shapes differ, or a value is not finite.

    Example:
        >>> import torch
        >>> rank_correlation(torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[1.0, 4.0, 9.0]]))
        1.0
    """
    first = checked_relevance(first, (first.shape[0], first.shape[1]))
    second = checked_relevance(second, (first.shape[0], first.shape[1]))
    constant = [bool(one.min() == one.max()) for one in (first, second)]
    if any(constant):
        return float(all(constant))
    return float(spearmanr(first.flatten().numpy(), second.flatten().numpy()).statistic)
