"""A bank of few rows from noisy sums over the cells of a codebook, for what needs rows that count everywhere.

The first two rounds find where patches lie and make their spread round, as ``adaptive_gaussian`` does. There the
directions around the mean are shared out among cells, whose middles are drawn at random with a fixed seed: nobody's
pictures decide them. In the last round every picture tells, per cell, which share of its patches is there, and the sum
of these. Cells in which enough patches are become rows: their mean patch. This is a noisy set union (Gopi et al. 2020,
https://proceedings.mlr.press/v119/gopi20a.html) over a known universe, followed by one step of k-means.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from anomalib_federated.privacy.learnt import Learnt
from anomalib_federated.privacy.state import State
from anomalib_federated_plugins.privacy.gaussian_rounds import (
    LOG_RANGE,
    directions_for,
    learnt_level,
    learnt_whitening,
    level,
    logarithm,
    second_moments,
    shrunk,
    unit,
    whitened,
)
from anomalib_federated_plugins.privacy.half_vector import half_vector_size
from anomalib_federated_plugins.privacy.silent_numbers import SILENT, noise_in, with_silence
from anomalib_federated_plugins.privacy.sums_along_directions import SumsAlongDirections

FEWEST_DIRECTIONS = 8
_DIRECTIONS_PER_SIGMA = 0.25
MOST_CELLS, FEWEST_CELLS = 1024, 8
_NOISE_ENERGY = 0.25
"""Of all means of cells together, as a share of the pictures' own: it says how many cells there are."""
_ADMITTED = 2.0
"""Standard deviations of the noise that a cell's share must exceed."""


class CodebookSum(SumsAlongDirections):
    """Learns a bank of rows from three noisy sums.

    Directions and cells follow from the noisy number of pictures ``n`` and the noise ``sigma`` (in vectors of one
    picture): ``n / (4 sigma)`` directions, 8 to 64, and the power of two of cells, 8 to 1024, at which noise makes up
    a quarter of what all cells' means tell.

    Arguments are those of :class:`SumsAlongDirections`.

    Example:
        >>> CodebookSum(epsilon=4.0).report().unit
        'picture'
    """

    name = "codebook_sum"
    shares = (0.05, 0.25, 0.70)
    most_directions = 64
    also_public = ("cells of the codebook: drawn at random with a fixed seed",)

    def dimensions(self, state: State) -> int:
        """Of the mean, of second moments, or of the cells; and the numbers that are zero."""
        directions = state["basis"].shape[1]
        if "pictures" not in state:
            return directions + 2 + SILENT
        if "cells" not in state:
            return half_vector_size(directions) + SILENT
        return len(state["cells"]) * (1 + directions) + 1 + SILENT

    def contribution(self, patches: Tensor, state: State) -> Tensor:
        """What one picture tells in the next round, at most of length one."""
        if "pictures" not in state:
            return with_silence(level(patches, state))
        if "cells" not in state:
            return with_silence(second_moments(patches, state))
        return with_silence(_in_cells(patches, state))

    def learn(self, state: State, total: Tensor) -> State:
        """The mean, then the second moments around it and with them the cells, then the cells' means."""
        told, noise = total[:-SILENT], noise_in(total)
        if "pictures" not in state:
            return {**state, **self._mean(told, noise, state)}
        pictures = state["pictures"]
        if "cells" not in state:
            whitening = learnt_whitening(told / pictures, noise / pictures, state)
            noise_of_cells = noise * math.sqrt(self.shares[1] / self.shares[2]) / pictures
            return {**state, "whitening": whitening, "cells": _cells(noise_of_cells, len(whitening))}
        return {**state, "means": _means(told / pictures, noise / pictures, state)}

    def finish(self, state: State) -> Learnt:
        """A row per cell that is not empty, and the projection in which the spread is the same in all directions."""
        around = state["mean"] + torch.linalg.solve(state["whitening"], state["means"], left=False)
        rows = state["centre"] + around @ torch.linalg.pinv(state["basis"])
        projection = state["basis"] @ state["whitening"]
        return Learnt(rows=rows.float(), pictures=float(state["pictures"]), projection=projection.float())

    def _mean(self, told: Tensor, noise: Tensor, state: State) -> State:
        directions = directions_for(
            told[0] * math.sqrt(3),
            noise * math.sqrt(self.shares[0]),
            per_sigma=_DIRECTIONS_PER_SIGMA,
            fewest=FEWEST_DIRECTIONS,
            most=state["basis"].shape[1],
        )
        found = learnt_level(told, noise, state, directions=directions)
        identity = torch.eye(len(found["mean"]), dtype=torch.float64)
        return {**found, "map": found["mean"][None, None], "whitening": identity}


def _cells(noise: Tensor, directions: int) -> Tensor:
    """Middles of the cells, of length one; as many as the noise allows in each number of a mean vector."""
    allowed = _NOISE_ENERGY / (3 * directions * float(noise) ** 2 + 1e-30)
    count = 2 ** int(math.log2(min(max(allowed, FEWEST_CELLS), MOST_CELLS)))
    drawn = torch.from_numpy(np.random.default_rng(1).standard_normal((count, directions)))
    cells: Tensor = drawn / drawn.norm(dim=1, keepdim=True)
    return cells


def _in_cells(patches: Tensor, state: State) -> Tensor:
    """Shares of patches, sums of patches, each of length one, and the logarithm of their ratio."""
    apart, divisor = whitened(patches, state)
    cells = state["cells"]
    own = (apart @ cells.float().T).argmax(1)
    shares = torch.bincount(own, minlength=len(cells)).double() / len(own)
    sums = cells.new_zeros(cells.shape).index_add_(0, own, apart.double()) / len(own)
    ratio = logarithm(sums.norm() / shares.norm() * divisor)
    return torch.cat([unit(shares), unit(sums.flatten()), ratio[None]]) / math.sqrt(3)


def _means(told: Tensor, noise: Tensor, state: State) -> Tensor:
    """Of the cells in which patches surely are, shape ``(m, k)``, ``m >= 1``."""
    told, noise = told * math.sqrt(3), noise * math.sqrt(3)
    count = len(state["cells"])
    shares, sums = told[:count], told[count:-1].reshape(state["cells"].shape)
    admitted = shares > (_ADMITTED * noise).clamp_min(1e-12)
    if not admitted.any():
        return state["mean"].new_zeros(1, len(state["mean"]))
    weights = shares[admitted].unsqueeze(1)
    return shrunk(sums[admitted] / weights, noise / weights) * told[-1].clamp(-1, 1).mul(LOG_RANGE).exp()
