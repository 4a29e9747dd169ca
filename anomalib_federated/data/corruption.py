"""Pictures as a worse camera would take them: other light, less contrast, out of focus, noisy.

For training (a detector that has seen such pictures) and for evaluation (what is left of a detector when light and
camera change). What is done to a picture depends on a seed and the picture's name alone, so that its features can be
stored and found again, whatever process reads it and in whatever order.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as F  # noqa: N812 - torchvision's own alias

CorruptionLike: TypeAlias = str | dict[str, Any]
"""The name of a preset, or fields of :class:`Corruption`; a field ``preset`` names the one that they change."""

LARGEST_BLUR = 50.0
"""Pixels; beyond this nothing of a part is left to inspect."""

SMALLEST_BLUR = 0.1
"""Pixels; below this a Gaussian gives the pixels beside it less than float32 can tell."""


@dataclass(frozen=True, kw_only=True)
class Corruption:
    """What is done to pictures, in the order in which light becomes a file: light, lens, sensor.

    Args:
        brightness: All pixels are multiplied by a factor from ``1 - brightness`` to ``1 + brightness``, in [0, 1].
        contrast: The difference to the mean gray is, likewise.
        blur: Largest standard deviation of a Gaussian blur, in pixels of the picture as it is read.
        noise: Standard deviation of Gaussian noise, each pixel and channel its own, on pixels in 0 .. 1.
        probability: With which each of the four befalls a picture, apart from the others.
        seed: Decides which pictures, and how much; with another strength they are the same ones.

    Raises:
        ValueError: If a value is out of its range.

    Example:
        >>> corruption = Corruption.of("high", seed=7)
        >>> corruption.probability, corruption.brightness, corruption.noise
        (0.5, 0.6, 0.05)
        >>> gray = torch.full((3, 8, 8), 0.5)
        >>> torch.equal(corruption(gray, name="nut/train/good/1.png"), corruption(gray, name="nut/train/good/1.png"))
        True
    """

    brightness: float = 0.0
    contrast: float = 0.0
    blur: float = 0.0
    noise: float = 0.0
    probability: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        for field, most in _MOST.items():
            value = getattr(self, field)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= most:
                msg = f"A corruption's {field} is {value!r}; give a number from 0 to {most:g}."
                raise ValueError(msg)
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0:
            msg = f"A corruption's seed is {self.seed!r}; give a whole number from 0."
            raise ValueError(msg)

    @classmethod
    def of(cls, spec: CorruptionLike, *, seed: int = 0) -> Corruption:
        """A corruption out of the plain data of a configuration.

        Args:
            spec: Name of a preset, or fields.
            seed: Taken where the fields name none.

        Raises:
            ValueError: If there is no such preset or field, or a value is out of its range.

        Example:
            >>> Corruption.of({"preset": "medium", "probability": 1})
            Corruption(brightness=0.4, contrast=0.4, blur=2.0, noise=0.03, probability=1, seed=0)
        """
        given = {"preset": spec} if isinstance(spec, str) else _fields(spec)
        start = _preset(given.pop("preset")) if "preset" in given else cls()
        known = [field.name for field in fields(cls)]
        if unknown := sorted(map(str, set(given) - set(known))):
            msg = f"A corruption has no field '{unknown[0]}'; it has preset, {', '.join(known)}."
            raise ValueError(msg)
        return replace(start, **{"seed": seed} | given)

    @property
    def words(self) -> str:
        """Its preset, or what it does, without the seed.

        Example:
            >>> Corruption.of("low", seed=3).words, Corruption(blur=2, probability=0.5).words
            ('low', 'blur 2, probability 0.5')
        """
        for name, preset in PRESETS.items():
            if replace(self, seed=preset.seed) == preset:
                return name
        told = {field: getattr(self, field) for field in _MOST}
        kinds = [f"{field} {value:g}" for field, value in told.items() if value and field != "probability"]
        return ", ".join([*kinds, f"probability {self.probability:g}"]) if kinds and self.probability else "nothing"

    def __call__(self, picture: Tensor, *, name: str) -> Tensor:
        """Corrupt a picture.

        Args:
            picture: Pixels in 0 .. 1, shape ``(3, height, width)``, floating dtype; left as it is.
            name: Its name; for pictures of a data set, their path below the data folder with forward slashes.

        Returns:
            Pixels in 0 .. 1 of the same dtype and shape; the picture itself if nothing befalls it.
        """
        rng = np.random.default_rng([self.seed, *name.encode()])
        # All of the numbers are drawn for every picture, so that no strength changes which picture gets what.
        befalls = rng.random(4) < self.probability
        light, depth = (float(share) for share in rng.uniform(-1, 1, size=2))
        sigma = self.blur * float(rng.random())
        changed = picture
        if befalls[0] and self.brightness:
            changed = F.adjust_brightness(changed, 1 + self.brightness * light)
        if befalls[1] and self.contrast:
            changed = F.adjust_contrast(changed, 1 + self.contrast * depth)
        if befalls[2] and sigma > SMALLEST_BLUR:
            changed = _blurred(changed, sigma)
        if befalls[3] and self.noise:
            drawn = torch.from_numpy(rng.standard_normal(tuple(picture.shape), dtype=np.float32))
            changed = (changed + self.noise * drawn.to(changed)).clamp(0, 1)
        return changed


_MOST = {"brightness": 1.0, "contrast": 1.0, "blur": LARGEST_BLUR, "noise": 1.0, "probability": 1.0}
"""Largest value by field."""

PRESETS = {
    "low": Corruption(brightness=0.2, contrast=0.2, blur=1.0, noise=0.01, probability=0.1),
    "medium": Corruption(brightness=0.4, contrast=0.4, blur=2.0, noise=0.03, probability=0.3),
    "high": Corruption(brightness=0.6, contrast=0.6, blur=3.0, noise=0.05, probability=0.5),
}
"""By name: probability, strength and noise of an earlier federated system on AutoVI, whose strength is brightness and
contrast here, and 5 pixels of blur each."""


def _fields(spec: object) -> dict[str, Any]:
    if not isinstance(spec, Mapping):
        msg = f"A corruption is {spec!r}; name {_names()}, or give fields such as {{brightness: 0.3}}."
        raise ValueError(msg)  # noqa: TRY004 - what stands in a configuration is a value
    return dict(spec)


def _preset(name: object) -> Corruption:
    if not isinstance(name, str) or name not in PRESETS:
        msg = f"There is no corruption named {name!r}; name {_names()}, or give fields such as {{brightness: 0.3}}."
        raise ValueError(msg)
    return PRESETS[name]


def _names() -> str:
    return " or ".join([", ".join([*PRESETS][:-1]), [*PRESETS][-1]])


def _blurred(picture: Tensor, sigma: float) -> Tensor:
    """Blurred over three standard deviations, mirrored at the borders, by which no kernel may reach past the other."""
    sides = [2 * min(math.ceil(3 * sigma), size - 1) + 1 for size in (picture.shape[-1], picture.shape[-2])]
    blurred: Tensor = F.gaussian_blur(picture, kernel_size=sides, sigma=[sigma, sigma]).clamp(0, 1)  # rounding
    return blurred
