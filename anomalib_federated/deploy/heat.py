"""The colours of normalised anomaly scores, the same at the inspection station and in galleries and reports."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

STOPS = (0.0, 0.3, 0.5, 0.75, 1.0)
COLOURS = ((38, 58, 150), (48, 150, 190), (245, 215, 95), (240, 120, 40), (190, 15, 35))
"""RGB at each of :data:`STOPS`: lightness rises to yellow, at the threshold, and falls again, so that the colours read
in order, also for most colour-blind people."""

STRONGEST = 0.6
"""How much of a picture the colours cover at most."""


def colours(normalised: NDArray[np.float32]) -> NDArray[np.float64]:
    """RGB from 0 to 255, not rounded.

    Args:
        normalised: ``(h, w)`` float32 from 0 to 1, the threshold being 0.5.

    Returns:
        ``(h, w, 3)`` float64.

    Example:
        >>> colours(np.array([[0.5]], dtype=np.float32)).tolist()
        [[[245.0, 215.0, 95.0]]]
    """
    return np.dstack([np.interp(normalised, STOPS, channel) for channel in zip(*COLOURS, strict=True)])


def cover(normalised: NDArray[np.float32]) -> NDArray[np.float32]:
    """How much of a picture the colours cover: nothing where the map is low, :data:`STRONGEST` where it is high.

    Args:
        normalised: Like that of :func:`colours`.

    Returns:
        ``(h, w)`` float32.

    Example:
        >>> [f"{share:.0%}" for share in cover(np.array([[0.3, 0.5, 0.9]], dtype=np.float32))[0]]
        ['0%', '30%', '60%']
    """
    rise = np.clip((normalised - 0.3) / 0.4, 0, 1)
    # Smoothstep: half of the strongest cover exactly at the threshold of 0.5.
    share: NDArray[np.float32] = STRONGEST * rise * rise * (3 - 2 * rise)
    return share
