"""Writing anomaly maps in the official folder layout, so that other tools read them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from anomalib_federated.evaluation.maps.files import WHITE, MapError, write_npy, write_png16
from anomalib_federated.evaluation.measuring.scored_image import ScoredImage
from anomalib_federated.files import write_file

MapForm: TypeAlias = Literal["png16", "npy"]
"""``png16``: 16 bit PNG on one scale for the whole category; ``npy``: the raw float32 scores."""


@dataclass(frozen=True, kw_only=True)
class MapWriter:
    """Writes ``<folder>/<category>/test/<type>/<stem>.png`` (or ``.npy``), and ``scale.json`` beside ``test``.

    A PNG holds ``65535 s / (s + t)`` of a raw score ``s``, rounded, with the pixel threshold ``t`` of the category.
    That keeps the order of scores across images, as far as 16 bits tell them apart; a scale per image would destroy it.

    Args:
        folder: Folder of the categories.
        form: What is written.
        pixel_threshold: Raw score, positive; the value of a PNG at which it lies is 32768.

    Raises:
        ValueError: If the threshold is not positive.
    """

    folder: Path
    form: MapForm
    pixel_threshold: float

    def __post_init__(self) -> None:
        if not 0 < self.pixel_threshold < float("inf"):
            msg = f"The pixel threshold is {self.pixel_threshold}; maps are written on a scale with a positive one."
            raise ValueError(msg)

    def write(self, scored: ScoredImage) -> Path:
        """Write one map, and once per category what its values mean.

        Raises:
            MapError: If a PNG is wished of a map with negative scores.
        """
        path = self.folder / scored.category / Path(scored.name).with_suffix("." + self.form.removesuffix("16"))
        scale = self.folder / scored.category / "scale.json"
        if not scale.is_file() or json.loads(scale.read_bytes()) != self.scale():
            write_file(scale, json.dumps(self.scale(), indent=2).encode())
        if self.form == "npy":
            return write_npy(path, scored.anomaly_map)
        if scored.anomaly_map.min() < 0:
            msg = f"The map of {scored.name} has negative scores, which s / (s + t) does not keep in order; write npy."
            raise MapError(msg)
        scores = scored.anomaly_map.astype(np.float64)
        return write_png16(path, scores / (scores + self.pixel_threshold))

    def scale(self) -> dict[str, Any]:
        """What a stored value means."""
        common = {"form": self.form, "pixel_threshold": self.pixel_threshold}
        if self.form == "npy":
            return common | {"value": "raw score s, float32", "value_at_threshold": self.pixel_threshold}
        meaning = f"{WHITE} * s / (s + t), rounded; s: raw score, t: pixel_threshold"
        return common | {"value": meaning, "value_at_threshold": WHITE / 2}
