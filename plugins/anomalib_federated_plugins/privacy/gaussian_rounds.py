"""Rounds that several plugins share: the mean of patches, and what makes their second moments round.

A picture's vector has length one or little less whatever the picture, so no picture's vector is shortened, and none
tells less than it may. The state of the rounds gets, beside ``centre`` and ``basis`` (see ``directions``):

- ``pictures``, ``scale``, ``mean``: the noisy number of pictures, the length of a mean feature, and the mean, after the
  round of the level;
- ``map`` and ``whitening``: means over positions as cosines, and the matrix that makes what is left round.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from anomalib_federated.privacy.state import State
from anomalib_federated_plugins.privacy.cosine_map import from_cosines, position_cosines
from anomalib_federated_plugins.privacy.half_vector import from_half_vector, half_vector

LOG_RANGE = 5.0
"""Lengths are told from e^-5 to e^5."""
STRIDE = 2
"""Of the patches in a second moment: neighbours say nearly the same."""
_FLOOR = 0.25
"""Least eigenvalue of second moments, in operator norms of their noise; less of it makes directions of noise count."""
_LEAST_RATIO = 1e-6
"""Least eigenvalue, as a share of the largest."""


def unit(vector: Tensor) -> Tensor:
    """Of length one, or zero; NaN stays NaN.

    Example:
        >>> unit(torch.tensor([3.0, 4.0], dtype=torch.float64)).tolist()
        [0.6, 0.8]
    """
    largest = vector.abs().amax().clamp_min(1e-100)
    scaled = vector / largest
    result: Tensor = scaled / scaled.norm().clamp_min(0.5)
    return result


def logarithm(length: Tensor) -> Tensor:
    """Of a length, from -1 to 1."""
    return (length.log() / LOG_RANGE).clamp(-1, 1)


def shrunk(means: Tensor, noise: Tensor) -> Tensor:
    """Along the last dimension, towards zero by as much as noise made it longer (James and Stein 1961).

    Args:
        means: Shape ``(..., k)``.
        noise: Standard deviation of the noise in each number.
    """
    energy = means.pow(2).sum(-1, keepdim=True).clamp_min(1e-100)
    return means * (1 - means.shape[-1] * noise**2 / energy).clamp_min(0)


def level(patches: Tensor, state: State) -> Tensor:
    """One, the direction of a picture's mean, and the logarithm of its length; ``(k + 2,)``, at most of length one."""
    mean = (patches.double().mean(dim=(0, 1)) - state["centre"]) @ state["basis"]
    log = logarithm(mean.norm())
    return torch.cat([torch.ones_like(log)[None], unit(mean), log[None]]) / math.sqrt(3)


def learnt_level(told: Tensor, noise: Tensor, state: State, *, directions: int) -> State:
    """What the sum of all levels tells.

    Args:
        told: Shape ``(k + 2,)``.
        noise: Standard deviation of the noise in each number.
        state: Holds ``basis``.
        directions: How many of its directions are kept.
    """
    told, noise = told * math.sqrt(3), noise * math.sqrt(3)
    pictures = told[0].clamp_min(1.0)
    scale = (told[-1] / pictures).clamp(-1, 1).mul(LOG_RANGE).exp()
    mean = shrunk(told[1:-1] / pictures, noise / pictures)
    mean = mean[:directions] / mean.norm().clamp_min(1) * scale
    return {"pictures": pictures, "scale": scale, "mean": mean, "basis": state["basis"][:, :directions]}


def whitened(patches: Tensor, state: State, *, stride: int = 1) -> tuple[Tensor, Tensor]:
    """Differences from the map, where they are round, divided by a number that keeps float32 from overflowing.

    Args:
        patches: Shape ``(rows, columns, d)``, float32.
        state: Holds ``centre``, ``basis``, ``map`` and ``whitening``.
        stride: Takes every so many rows and columns.

    Returns:
        Shape ``(patches, k)``, float32, and the divisor.
    """
    rows, columns, _ = patches.shape
    frequencies = state["map"].shape[0]
    projection = state["basis"] @ state["whitening"]
    around = (
        from_cosines(
            state["map"] @ state["whitening"],
            position_cosines(rows, frequencies)[:, ::stride],
            position_cosines(columns, frequencies)[:, ::stride],
        )
        + state["centre"] @ projection
    )
    kept = patches[::stride, ::stride]
    divisor = torch.maximum(kept.abs().amax(), around.abs().amax().float()).clamp_min(1.0)
    apart = (kept / divisor) @ projection.float() - (around / divisor).float()
    return apart.flatten(0, 1), divisor


def second_moments(patches: Tensor, state: State) -> Tensor:
    """Of a picture's differences from the map: a half vector of length one, or zero."""
    apart, _ = whitened(patches, state, stride=STRIDE)
    apart = apart / apart.abs().amax().clamp_min(1e-30)
    return unit(half_vector((apart.T @ apart).double()))


def learnt_whitening(moments: Tensor, noise: Tensor, state: State) -> Tensor:
    """What makes noisy second moments round, after what did so before.

    Args:
        moments: Mean of the half vectors of all pictures.
        noise: Standard deviation of the noise in each of its numbers.
        state: Holds the ``whitening`` so far, shape ``(k, k)``.

    Returns:
        The same shape, and always of the same size: how large the moments are, nobody was told.
    """
    whitening = state["whitening"]
    values, vectors = torch.linalg.eigh(from_half_vector(moments))
    # The operator norm of a symmetric matrix of noise, of which off-diagonal numbers have 1 / sqrt(2) of the noise.
    operator_norm = noise * math.sqrt(2 * len(values))
    least = torch.maximum(_FLOOR * operator_norm, _LEAST_RATIO * values.max())
    if not least > 0:  # pictures without any spread, and no noise
        return whitening
    whitening = whitening @ (vectors / values.clamp_min(float(least)).sqrt())
    result: Tensor = whitening * (math.sqrt(len(values)) / float(whitening.norm()))
    return result


def directions_for(pictures: Tensor, sigma: Tensor, *, per_sigma: float, fewest: int, most: int) -> int:
    """How many directions the noise allows: pictures per noise, times a constant, in steps of 8.

    Example:
        >>> directions_for(torch.tensor(617.0), torch.tensor(3.73), per_sigma=0.5, fewest=16, most=128)
        80
    """
    allowed = 8 * float((pictures * per_sigma / 8 / sigma.clamp_min(1e-9)).round())
    return int(min(max(allowed, fewest), most))
