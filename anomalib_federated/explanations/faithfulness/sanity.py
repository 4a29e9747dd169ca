"""Does an explanation change when the detector forgets what it learnt?

Adebayo et al. 2018, *Sanity Checks for Saliency Maps*, https://arxiv.org/abs/1810.03292. The same picture is explained
again with a detector whose bank, or whose network, is random; see
:mod:`anomalib_federated.explanations.faithfulness.randomised`.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

BAR = 0.5
"""Of the mean absolute rank correlation: at the bar a quarter of the variance of the ranks (its square) is the
picture's alone, whatever the detector learnt."""


def passes(correlations: Sequence[float]) -> bool:
    """Whether explanations changed enough.

    Args:
        correlations: Of each picture, between the explanation and that of the random detector; at least one.

    Raises:
        ValueError: If there is none.

    Example:
        >>> passes([0.1, -0.3]), passes([0.9, 0.7])
        (True, False)
    """
    if not correlations:
        msg = "There is no picture whose explanation was checked; explain at least one."
        raise ValueError(msg)
    return fmean(abs(correlation) for correlation in correlations) < BAR
