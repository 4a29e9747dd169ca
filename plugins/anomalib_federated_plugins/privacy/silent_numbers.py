"""Numbers that are zero in every picture's vector: what comes back in them is noise alone, and tells how much there is.

They cost nothing, since they tell nothing of any picture. Without them, the centre would have to know how many sites
added noise.
"""

from __future__ import annotations

import torch
from torch import Tensor

SILENT = 128
"""How many: they tell the noise's standard deviation to 6 %."""


def with_silence(vector: Tensor) -> Tensor:
    """The vector and the numbers that are zero.

    Example:
        >>> with_silence(torch.ones(2)).shape
        torch.Size([130])
    """
    return torch.cat([vector, vector.new_zeros(SILENT)])


def noise_in(total: Tensor) -> Tensor:
    """Standard deviation of the noise in each number of a noisy sum of such vectors."""
    return total[-SILENT:].pow(2).mean().sqrt()
