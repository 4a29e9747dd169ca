"""Synthetic defects on pictures of good parts, for whoever has no picture of a real one.

Four kinds, none of which needs data from elsewhere: pieces of the picture in the wrong place and scars (Li et al. 2021,
*CutPaste*, https://arxiv.org/abs/2104.04015), foreign texture in the shape of smooth noise (Zavrtanik et al. 2021,
*DRAEM*, https://arxiv.org/abs/2108.07610), and dark or bright spots. They are no likeness of a true defect: what is
learnt from them holds for what differs from good parts in such ways.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Pixels = NDArray[np.float64]
Mask = NDArray[np.bool_]

LARGEST, SMALLEST = 0.3, 0.08
"""Length of a defect, as a share of the picture's shorter side."""

LEAST_CHANGE = 0.02
"""Of a pixel's brightness in 0 .. 1: what changes less shows no defect, and is not part of the mask."""


@dataclass(frozen=True, eq=False, kw_only=True)
class SyntheticDefect:
    """A picture with a defect.

    Attributes:
        picture: Shape ``(height, width, 3)``, uint8.
        mask: Shape ``(height, width)``, bool: true where the defect is.
        kind: One of :data:`KINDS`.
    """

    picture: NDArray[np.uint8]
    mask: Mask
    kind: str


def with_defect(picture: NDArray[np.uint8], kind: str, *, rng: np.random.Generator) -> SyntheticDefect:
    """Put a defect on a picture.

    Args:
        picture: Of a good part, shape ``(height, width, 3)``, uint8; not changed.
        kind: One of :data:`KINDS`.
        rng: Decides where the defect is, and how it looks.

    Raises:
        ValueError: If there is no such kind, or the picture is smaller than 16 pixels.

    Example:
        >>> grey = np.full((64, 96, 3), 128, dtype=np.uint8)
        >>> defect = with_defect(grey, "spot", rng=np.random.default_rng(0))
        >>> defect.picture.shape, bool((defect.picture != grey)[~defect.mask].any())
        ((64, 96, 3), False)
    """
    if kind not in KINDS:
        msg = f"There is no synthetic defect '{kind}'; give one of {', '.join(KINDS)}."
        raise ValueError(msg)
    if min(picture.shape[:2]) < 16:
        msg = f"A picture of {picture.shape[0]} x {picture.shape[1]} pixels is too small for a synthetic defect."
        raise ValueError(msg)
    before = picture.astype(np.float64) / 255
    while True:  # a piece that is pasted where it looks the same is no defect: draw another
        changed = KINDS[kind](before, rng).clip(0, 1)
        mask = np.abs(changed - before).max(2) > LEAST_CHANGE
        if mask.sum() >= (SMALLEST * min(mask.shape)) ** 2 / 4:
            break
    pixels = np.where(mask[..., None], np.round(changed * 255).astype(np.uint8), picture)
    return SyntheticDefect(picture=pixels, mask=mask, kind=kind)


def _cut_paste(before: Pixels, rng: np.random.Generator) -> Pixels:
    """A rectangle of the picture, a little brighter or darker, in another place."""
    height, width = _sides(before, rng, longest=3.0)
    (top, left), (to_top, to_left) = (_corner(before, (height, width), rng) for _ in range(2))
    piece = before[top : top + height, left : left + width] + rng.uniform(-0.15, 0.15)
    changed = before.copy()
    changed[to_top : to_top + height, to_left : to_left + width] = piece
    return changed


def _scar(before: Pixels, rng: np.random.Generator) -> Pixels:
    """A thin turned strip: one brightness, or a strip of the picture."""
    side = min(before.shape[:2])
    length, breadth = side * rng.uniform(0.15, LARGEST), max(2.0, side * rng.uniform(0.015, 0.05))
    along, across = _turned(before, rng)
    inside = ((np.abs(along) < length / 2) & (np.abs(across) < breadth / 2))[..., None]
    moved = np.roll(before, [int(rng.integers(before.shape[0])), int(rng.integers(before.shape[1]))], (0, 1))
    fill = moved * rng.uniform(0.6, 1.4) if rng.random() < 0.5 else np.full_like(before, rng.uniform(0, 1))
    return np.where(inside, fill, before)


def _texture(before: Pixels, rng: np.random.Generator) -> Pixels:
    """Noise of another scale, blended over where smooth noise is high, within a window."""
    side = min(before.shape[:2])
    shape = before.shape[:2]
    along, across = _turned(before, rng)
    window = np.hypot(along, across) < side * rng.uniform(SMALLEST, LARGEST / 2)
    smooth = _noise(shape, rng, cell=side * rng.uniform(0.05, 0.15))
    inside = (window & (smooth > np.median(smooth[window])))[..., None]
    contrast = rng.uniform(0.1, 0.5) * _noise(shape, rng, cell=max(1.5, side * rng.uniform(0.005, 0.03)))
    strength = rng.uniform(0.3, 0.9)
    return np.where(inside, (1 - strength) * before + strength * (rng.uniform(0.2, 0.8) + contrast[..., None]), before)


def _spot(before: Pixels, rng: np.random.Generator) -> Pixels:
    """An ellipse, darker or brighter, that fades out at its edge."""
    side = min(before.shape[:2])
    along, across = _turned(before, rng)
    half = side * rng.uniform(SMALLEST, LARGEST, 2) / 2
    level = (1.2 - np.hypot(along / half[0], across / half[1])).clip(0, 0.4)[..., None] / 0.4
    strength = rng.uniform(0.3, 0.9) * level
    return np.asarray((1 - strength) * before + strength * (0.0 if rng.random() < 0.5 else 1.0))


KINDS: dict[str, Callable[[Pixels, np.random.Generator], Pixels]] = {
    "cut_paste": _cut_paste,
    "scar": _scar,
    "texture": _texture,
    "spot": _spot,
}
"""What draws a defect of each kind over a picture in 0 .. 1, outside of which it changes nothing."""


def _sides(before: Pixels, rng: np.random.Generator, *, longest: float) -> tuple[int, int]:
    """Height and width of a rectangle."""
    side = min(before.shape[:2]) * rng.uniform(SMALLEST, LARGEST)
    ratio = float(np.exp(rng.uniform(-1, 1) * np.log(longest) / 2))
    height, width = (max(2, min(round(each), limit - 1)) for each, limit in
                     zip((side * ratio, side / ratio), before.shape[:2], strict=True))  # fmt: skip
    return height, width


def _corner(before: Pixels, size: tuple[int, int], rng: np.random.Generator) -> tuple[int, int]:
    """Where a rectangle may begin."""
    top, left = (int(rng.integers(0, whole - part + 1)) for whole, part in zip(before.shape[:2], size, strict=True))
    return top, left


def _turned(before: Pixels, rng: np.random.Generator) -> tuple[Pixels, Pixels]:
    """Of every pixel, how far it is along and across a random direction from a random place amid the picture."""
    height, width = before.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float64)
    y, x = y - rng.uniform(0.15, 0.85) * height, x - rng.uniform(0.15, 0.85) * width
    angle = rng.uniform(0, np.pi)
    return x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)


def _noise(shape: tuple[int, ...], rng: np.random.Generator, *, cell: float) -> Pixels:
    """Smooth noise with a standard deviation of about 1, whose grains are so many pixels wide."""
    coarse = rng.standard_normal([int(np.ceil(side / cell)) + 3 for side in shape])
    fine = ndimage.zoom(coarse, cell, order=3, mode="reflect", grid_mode=True)
    return np.asarray(fine[: shape[0], : shape[1]])
