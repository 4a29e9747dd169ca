"""What differs without being a defect: surfaces, stains, and the light and the camera of each site."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anomalib_federated.data.demo.canvas import Colour, FloatArray


@dataclass(frozen=True)
class Site:
    """The light and the camera of one plant.

    Attributes:
        name: Beginning of the file names of its images.
        brightness: Factor on all gray levels.
        contrast: Factor on the distance from the mean gray level.
        gradient: Relative fall-off of the light across the image, to the right and downwards.
        tint: Factor on red, green and blue: the colour temperature.
        noise: Standard deviation of the sensor's noise in gray levels.
    """

    name: str
    brightness: float
    contrast: float
    gradient: tuple[float, float]
    tint: tuple[float, float, float]
    noise: float


SITES = (
    Site("s1", 1.00, 1.00, (0.06, 0.00), (1.00, 1.00, 1.00), 1.5),
    Site("s2", 1.10, 0.95, (-0.10, 0.05), (1.04, 1.00, 0.94), 2.0),
    Site("s3", 0.88, 1.05, (0.00, 0.12), (0.97, 1.00, 1.04), 2.5),
    Site("s4", 0.95, 0.90, (0.10, -0.08), (1.02, 1.01, 0.97), 3.5),
    Site("s5", 1.04, 1.08, (-0.04, -0.12), (0.96, 1.00, 1.05), 1.5),
)


def texture(rng: np.random.Generator, size: tuple[int, int], cells: tuple[int, ...]) -> FloatArray:
    """Smooth noise of several scales, (height, width), about unit variance.

    Args:
        rng: Source of the noise.
        size: Width and height in pixels.
        cells: Cells along the shorter side, one number per scale; coarse scales weigh more.
    """
    width, height = size
    total = np.zeros((height, width), np.float32)
    for count in cells:
        rows = max(2, round(count * height / min(size)))
        columns = max(2, round(count * width / min(size)))
        coarse = Image.fromarray(rng.standard_normal((rows, columns), dtype=np.float32))
        total += np.asarray(coarse.resize(size, Image.Resampling.BICUBIC)) / np.float32(np.sqrt(count))
    return total / np.float32(max(float(total.std()), 1e-9))


def surface(
    rng: np.random.Generator,
    size: tuple[int, int],
    colour: Colour,
    *,
    roughness: float,
    stains: int = 2,
) -> FloatArray:
    """A stained surface, (height, width, 3), gray levels.

    Args:
        rng: Source of the noise.
        size: Width and height in pixels.
        colour: Mean colour.
        roughness: Standard deviation of the texture relative to the colour.
        stains: Most stains on it.
    """
    width, height = size
    grain = rng.standard_normal((height, width), dtype=np.float32)
    relief = 1 + np.float32(roughness) * (texture(rng, size, (4, 12, 40)) + np.float32(0.6) * grain)
    x, y = _along(width) * width / min(size), _along(height) * height / min(size)
    for _ in range(int(rng.integers(0, stains + 1))):
        cx, cy = rng.uniform(0, width / min(size)), rng.uniform(0, height / min(size))
        radius, depth = rng.uniform(0.03, 0.12), rng.uniform(0.08, 0.25)
        spot = np.outer(np.exp(-(((y - cy) / radius) ** 2)), np.exp(-(((x - cx) / radius) ** 2)))
        relief *= 1 - np.float32(depth) * spot
    mean = np.asarray(colour) * rng.uniform(0.94, 1.06) * rng.uniform(0.98, 1.02, 3)
    return relief[:, :, None] * mean.astype(np.float32)


def photograph(picture: FloatArray, site: Site, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The picture as ``site`` sees it: (height, width, 3), uint8."""
    height, width, _ = picture.shape
    grain = 1 + np.float32(0.025) * texture(rng, (width, height), (6, 24))
    right, down = np.asarray(site.gradient) + rng.uniform(-0.03, 0.03, 2)
    fall_off = (
        1 + np.float32(right) * (2 * _along(width)[None, :] - 1) + np.float32(down) * (2 * _along(height)[:, None] - 1)
    )
    tint = np.asarray(site.tint) * site.brightness * rng.uniform(0.96, 1.04)
    lit = picture * (grain * fall_off)[:, :, None] * tint.astype(np.float32)
    mean = lit.mean()
    noise = rng.standard_normal(picture.shape, dtype=np.float32)
    seen = mean + np.float32(site.contrast) * (lit - mean) + np.float32(site.noise) * noise
    levels: NDArray[np.uint8] = np.clip(np.rint(seen), 0, 255).astype(np.uint8)
    return levels


def _along(count: int) -> FloatArray:
    """Positions of ``count`` pixels along a side of length 1."""
    return np.arange(count, dtype=np.float32) / np.float32(count)
