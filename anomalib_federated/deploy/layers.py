"""Layers that lie over a picture: what the detector saw as colours, and the outline of an area.

The colours are those of the inspection station, so that who knows one reads the other: a raw score ``s`` becomes
``s / (s + t)`` with the threshold ``t``, which is yellow at 0.5, the threshold.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from anomalib_federated.deploy.heat import colours, cover


def normalise(scores: NDArray[np.float32], threshold: float) -> NDArray[np.float32]:
    """Bring raw scores to 0 to 1, with 0.5 at the threshold; scores below 0 count as 0.

    Example:
        >>> normalise(np.array([0.0, 2.0, 6.0], dtype=np.float32), 2.0).tolist()
        [0.0, 0.5, 0.75]
    """
    positive = np.maximum(scores.astype(np.float64), 0)
    return (positive / (positive + threshold)).astype(np.float32)


def heat_map(normalised: NDArray[np.float32]) -> Image.Image:
    """Colours that hide what lies below.

    Args:
        normalised: ``(h, w)`` float32 from 0 to 1.

    Returns:
        An RGB picture.
    """
    return Image.fromarray(_rounded(colours(normalised)))


def heat_layer(normalised: NDArray[np.float32]) -> Image.Image:
    """Colours to lay over the picture: transparent where the map is low, 60 % where it is far above the threshold.

    Args:
        normalised: ``(h, w)`` float32 from 0 to 1.

    Returns:
        An RGBA picture.
    """
    return Image.fromarray(_rounded(np.dstack([colours(normalised), 255 * cover(normalised)])))


def outline_layer(area: NDArray[np.bool_]) -> Image.Image:
    """A white line with a dark one around it, just outside an area, so that it shows on any picture.

    Args:
        area: ``(h, w)`` bool.

    Returns:
        An RGBA picture, transparent elsewhere.
    """
    inside = Image.fromarray(area.astype(np.uint8) * 255)
    white = inside.filter(ImageFilter.MaxFilter(3))
    dark = white.filter(ImageFilter.MaxFilter(3))
    layer = np.zeros((*area.shape, 4), dtype=np.uint8)
    layer[np.asarray(dark) > np.asarray(inside)] = (20, 20, 20, 255)
    layer[np.asarray(white) > np.asarray(inside)] = (255, 255, 255, 255)
    return Image.fromarray(layer)


def _rounded(colour: NDArray[np.float64]) -> NDArray[np.uint8]:
    return np.rint(colour).astype(np.uint8)
