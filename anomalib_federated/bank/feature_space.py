"""What decides the space in which patch features live: two banks can be compared only if all of it agrees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import isfinite
from typing import Any, Literal, get_args

from anomalib_federated.untrusted import shown

MAX_LAYERS, MAX_IMAGE_SIDE, MAX_POOLING, MAX_DIM = 64, 1 << 14, 1 << 10, 1 << 20
"""No space beyond these is believed, since sites and servers reserve memory by what it says."""

Frame = Literal["picture", "part"]


@dataclass(frozen=True, kw_only=True)
class FeatureSpace:
    """Everything between a picture and its patch features.

    Attributes:
        backbone: Name of the timm architecture.
        weights: sha256 of the backbone's weights, hexadecimal.
        layers: Layers whose features are concatenated.
        layer_scales: Constant by which each layer's features are divided.
        image_size: Height and width to which pictures are resized; ``None`` keeps each picture's own size.
        keep_aspect_ratio: If true, pictures keep their shape and ``image_size`` sets only their area.
        mean: Normalisation mean of each colour channel, for pixels in 0 .. 1.
        std: Normalisation standard deviation of each colour channel.
        pooling: Side of the square over which neighbouring features are averaged.
        dim: Number of feature dimensions.
        frame: ``picture``: features lie as the picture does. ``part``: it is first turned, moved and scaled so that the
            part in it lies level.

    Raises:
        ValueError: If a field has the wrong type or an impossible value.
    """

    backbone: str
    weights: str
    layers: tuple[str, ...]
    layer_scales: tuple[float, ...]
    image_size: tuple[int, int] | None
    keep_aspect_ratio: bool
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    pooling: int
    dim: int
    frame: Frame = "picture"

    def __post_init__(self) -> None:
        checks = {
            "backbone": _is_text(self.backbone),
            "weights": _is_text(self.weights),
            "layers": isinstance(self.layers, tuple)
            and 0 < len(self.layers) <= MAX_LAYERS
            and all(map(_is_text, self.layers)),
            "layer_scales": _is_positive(self.layer_scales) and len(self.layer_scales) == len(self.layers),
            "image_size": self.image_size is None
            or (
                _is_positive(self.image_size, int)
                and len(self.image_size) == 2
                and max(self.image_size) <= MAX_IMAGE_SIDE
            ),
            "keep_aspect_ratio": isinstance(self.keep_aspect_ratio, bool),
            "mean": _is_tuple(self.mean, float) and len(self.mean) == 3 and all(map(isfinite, self.mean)),
            "std": _is_positive(self.std) and len(self.std) == 3,
            "pooling": _is_positive((self.pooling,), int) and self.pooling % 2 == 1 and self.pooling <= MAX_POOLING,
            "dim": _is_positive((self.dim,), int) and self.dim <= MAX_DIM,
            "frame": isinstance(self.frame, str) and self.frame in get_args(Frame),
        }
        for field, valid in checks.items():
            if not valid:
                msg = f"Feature space refused: {field} is {shown(getattr(self, field))}."
                raise ValueError(msg)

    def differences(self, other: FeatureSpace) -> str:
        """The fields in which two spaces differ, with both values, in words; empty if there is none."""
        pairs = {field.name: (getattr(self, field.name), getattr(other, field.name)) for field in fields(self)}
        return ", ".join(
            f"{name} is {ours!r} and {theirs!r}" for name, (ours, theirs) in pairs.items() if ours != theirs
        )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> FeatureSpace:
        """Build from what ``dataclasses.asdict`` gave and JSON turned into lists."""
        arguments: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return cls(**arguments)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 200 and value.isprintable()


def _is_tuple(values: object, kind: type) -> bool:
    return isinstance(values, tuple) and all(isinstance(v, kind) and not isinstance(v, bool) for v in values)


def _is_positive(values: object, kind: type = float) -> bool:
    return _is_tuple(values, kind) and all(0 < v < float("inf") for v in values)  # type: ignore[attr-defined]
