"""Membership inference: how well ordinary pictures that were in a data set are told from others that were not.

A canary shows the worst case, on which a promise rests. This shows the usual one.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sklearn.metrics import roc_auc_score
from torch import Tensor

from anomalib_federated.audit.target import ReadyT, SeenT, Target


def membership_auc(
    target: Target[ReadyT, SeenT], pictures: Tensor, *, runs: int, seed: int, tell: Callable[[int], None]
) -> float:
    """Draw half of the pictures, release, and rank all of them, again and again.

    Args:
        target: What is audited.
        pictures: Ordinary ones, shape ``(n, rows, columns, d)``, ``n >= 2``.
        runs: How often, at least 1.
        seed: Decides which are drawn.
        tell: Called with 1 after each run.

    Returns:
        Mean over the runs of the area under the receiver operating characteristic: 0.5 is guessing, 1 is knowing.

    Raises:
        ValueError: If there are too few pictures or runs.
    """
    if len(pictures) < 2 or runs < 1:
        msg = f"{len(pictures)} pictures in {runs} runs cannot be ranked; give at least 2 pictures and 1 run."
        raise ValueError(msg)
    generator = np.random.default_rng(seed)
    size = len(pictures) // 2
    judge = target.judge(list(pictures), size=size)
    areas = []
    for _ in range(runs):
        inside = generator.permutation(np.arange(len(pictures)) < size)
        seen = target.release(target.ready([pictures[number] for number in np.flatnonzero(inside)]))
        areas.append(float(roc_auc_score(inside, judge(seen))))
        tell(1)
    return float(np.mean(areas))
