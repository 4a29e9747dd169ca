"""Many canaries in one run: which of them are in there?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from anomalib_federated.audit.pictures import FAR
from anomalib_federated.audit.target import ReadyT, SeenT, Target

GUESSED = 0.2
"""Share of the canaries about which a guess is made: those of the highest and of the lowest scores, half each."""


@dataclass(frozen=True, kw_only=True)
class Guesses:
    """Arguments of :func:`anomalib_federated.audit.one_run.one_run_bound`.

    Attributes:
        canaries: How many coins were tossed.
        guesses: How many were guessed.
        right: How many guesses were right.
    """

    canaries: int
    guesses: int
    right: int


def guess_in_one_run(target: Target[ReadyT, SeenT], ordinary: Tensor, *, canaries: int, seed: int) -> Guesses:
    """Toss a coin for each canary, release once, and guess.

    Args:
        target: What is audited.
        ordinary: Pictures that are in there anyway, shape ``(n, rows, columns, d)``.
        canaries: How many, at least 10: pictures of random patches, far out. One that is not in there is left out, or
            replaced by its opposite if the promise is about pictures in place of others.
        seed: Decides canaries and coins.

    Raises:
        ValueError: If there are too few canaries.
    """
    if canaries < 10:
        msg = f"{canaries} canaries show nothing; give at least 10."
        raise ValueError(msg)
    far = FAR[-1] * float(ordinary.square().mean().sqrt())
    drawn = torch.randn(canaries, *ordinary.shape[1:], generator=torch.Generator().manual_seed(seed)) * far
    coins = np.random.default_rng(seed).random(canaries) < 0.5
    if target.report.adjacency == "replace":
        put = [canary if coin else -canary for canary, coin in zip(drawn, coins, strict=True)]
    else:
        put = [canary for canary, coin in zip(drawn, coins, strict=True) if coin]
    seen = target.release(target.ready([*ordinary, *put]))
    order = np.argsort(target.judge(list(drawn), size=len(put))(seen))
    each = max(1, int(canaries * GUESSED / 2))
    right = int(coins[order[-each:]].sum()) + int((~coins[order[:each]]).sum())
    return Guesses(canaries=canaries, guesses=2 * each, right=right)
