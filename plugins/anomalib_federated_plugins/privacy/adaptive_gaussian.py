"""A Gaussian of good patches around a map of their means, learnt from four noisy sums.

Every picture gives one vector in each round, of length one or little less: the direction of its mean feature; its map
of means, as few cosines; twice its second moments around the map of all pictures, the second time where the first found
them round. Each round so spends the noise where the one before has found the pictures to differ. A patch is scored by
its Mahalanobis distance from the map at its place, as PaDiM does (Defard et al. 2021,
https://arxiv.org/abs/2011.08785), here with one covariance for all places.

How much noise there is, whoever added it, is read off numbers that are zero in every vector.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from anomalib_federated.privacy.learnt import Learnt
from anomalib_federated.privacy.state import State
from anomalib_federated_plugins.privacy.cosine_map import cosines_at, from_cosines, to_cosines
from anomalib_federated_plugins.privacy.gaussian_rounds import (
    directions_for,
    learnt_level,
    learnt_whitening,
    level,
    second_moments,
    shrunk,
    unit,
)
from anomalib_federated_plugins.privacy.half_vector import half_vector_size
from anomalib_federated_plugins.privacy.silent_numbers import SILENT, noise_in, with_silence
from anomalib_federated_plugins.privacy.sums_along_directions import SumsAlongDirections

FREQUENCIES = 8
"""Cosines of the map per side."""
PLACES = 32
"""Rows and columns of places at which the map is written down."""
FEWEST_DIRECTIONS = 16
_DIRECTIONS_PER_SIGMA = 0.5
_COUNT_WEIGHT = 0.3
"""Of the number that counts pictures in the map's round, in lengths of a mean feature; it takes from the map."""


class AdaptiveGaussian(SumsAlongDirections):
    """Learns where good patches lie, and how far they spread, from four noisy sums.

    How many directions of the feature space are looked at follows from the noisy number of pictures ``n`` and the noise
    ``sigma`` (in vectors of one picture): ``n / (2 sigma)``, in steps of 8, 16 to 160. There is nothing else to set.
    Of the rules for the score of a picture, ``max`` suits best (found with defects pasted on training pictures).

    Arguments are those of :class:`SumsAlongDirections`.

    Example:
        >>> from anomalib_federated.testing import example_bank
        >>> privacy = AdaptiveGaussian(epsilon=4.0)
        >>> state = privacy.start(example_bank(dim=8).space)
        >>> bool(privacy.contribution(torch.ones(6, 6, 8), state).norm() <= privacy.clip)
        True
    """

    name = "adaptive_gaussian"
    shares = (0.02, 0.40, 0.20, 0.38)
    most_directions = 160

    def dimensions(self, state: State) -> int:
        """Of the mean, of the map, or of second moments; and the numbers that are zero."""
        directions = state["basis"].shape[1]
        if "pictures" not in state:
            return directions + 2 + SILENT
        if "map" not in state:
            return FREQUENCIES**2 * directions + 1 + SILENT
        return half_vector_size(directions) + SILENT

    def contribution(self, patches: Tensor, state: State) -> Tensor:
        """What one picture tells in the next round, at most of length one."""
        if "pictures" not in state:
            return with_silence(level(patches, state))
        if "map" not in state:
            return with_silence(_map(patches, state))
        return with_silence(second_moments(patches, state))

    def learn(self, state: State, total: Tensor) -> State:
        """The mean, then the map around it, then twice the second moments around the map."""
        told, noise = total[:-SILENT], noise_in(total)
        if "pictures" not in state:
            directions = directions_for(
                told[0] * math.sqrt(3),
                noise * math.sqrt(self.shares[0]),
                per_sigma=_DIRECTIONS_PER_SIGMA,
                fewest=FEWEST_DIRECTIONS,
                most=state["basis"].shape[1],
            )
            return {**state, **learnt_level(told, noise, state, directions=directions)}
        if "map" not in state:
            return {**state, **_learnt_map(told, noise, state)}
        pictures = state["pictures"]
        return {**state, "whitening": learnt_whitening(told / pictures, noise / pictures, state)}

    def finish(self, state: State) -> Learnt:
        """One row per place, and the projection in which the spread is the same in all directions."""
        positions = (torch.arange(PLACES, dtype=torch.float64) + 0.5) / PLACES
        waves = cosines_at(positions, FREQUENCIES)
        around = from_cosines(state["map"], waves, waves).flatten(0, 1)
        rows = state["centre"] + around @ torch.linalg.pinv(state["basis"])
        return Learnt(
            rows=rows.float(),
            pictures=float(state["pictures"]),
            places=torch.cartesian_prod(positions, positions).float(),
            projection=(state["basis"] @ state["whitening"]).float(),
        )


def _map(patches: Tensor, state: State) -> Tensor:
    """A number that counts pictures, and the picture's means as cosines, around the mean of all."""
    coefficients = to_cosines(patches.double() - state["centre"], FREQUENCIES) @ state["basis"]
    coefficients[0, 0] -= state["mean"]
    return unit(torch.cat([(_COUNT_WEIGHT * state["scale"])[None], coefficients.flatten()]))


def _learnt_map(told: Tensor, noise: Tensor, state: State) -> State:
    """Means weighted by one over the length of each picture's vector, for which the first number stands."""
    weights = (told[0].clamp_min(float(noise)) / (_COUNT_WEIGHT * state["scale"])).clamp_min(1e-30)
    coefficients = shrunk((told[1:] / weights).reshape(FREQUENCIES, FREQUENCIES, -1), noise / weights)
    coefficients[0, 0] += state["mean"]
    return {"map": coefficients, "whitening": torch.eye(coefficients.shape[-1], dtype=torch.float64)}
