"""Maps with their defects for the AUC-sPRO benchmark: made up, or read from files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

from anomalib_federated.data.layout import GOOD, TEST, category_folder, mask_files, read_layout
from anomalib_federated.data.masks import read_defects
from anomalib_federated.metrics import Defect, DefectsConfig

ScoredImage = tuple[npt.NDArray[Any], Sequence[Defect]]


class ScoredImages(Protocol):
    """What both are."""

    def stream(self) -> Iterator[ScoredImage]:
        """Map and defects, image by image; the same each time."""


@dataclass(frozen=True)
class MadeUp:
    """Smooth random maps; every third image has two defects, round and raised by a random amount."""

    images: int
    size: int
    seed: int

    def stream(self) -> Iterator[ScoredImage]:
        """Map (float32) and defects, image by image."""
        rng, size = np.random.default_rng(self.seed), self.size
        rows, columns = np.mgrid[:size, :size]
        for index in range(self.images):
            coarse = np.repeat(np.repeat(rng.normal(size=(20, 20)), -(-size // 20), 0), -(-size // 20), 1)[:size, :size]
            scores = smoothed(coarse, passes=8, reach=max(size // 40, 1)) + 0.1 * rng.normal(size=(size, size))
            defects = []
            for _ in range(2 if index % 3 == 0 else 0):
                row, column = rng.integers(size, size=2)
                mask = (rows - row) ** 2 + (columns - column) ** 2 <= (size * rng.uniform(0.02, 0.1)) ** 2
                scores[mask] += rng.uniform(0, 2)
                defects.append(Defect(mask, max(int(mask.sum() * rng.uniform(0.3, 1)), 1)))
            yield scores.astype(np.float32), defects


@dataclass(frozen=True)
class Written:
    """Maps of one category, ``<maps>/<category>/test/<type>/<stem>.png``, with the masks of the data set."""

    maps: Path
    root: Path
    category: str

    def stream(self) -> Iterator[ScoredImage]:
        """Map (as the file holds it) and defects, image by image."""
        folder = category_folder(self.root, self.category)
        config = DefectsConfig.from_file(folder / "defects_config.json")
        layout = read_layout(self.root, self.category)
        for row in layout[layout["split"] == TEST].itertuples():
            file = self.maps / self.category / TEST / str(row.label) / f"{Path(str(row.image_path)).stem}.png"
            with Image.open(file) as image:
                scores = np.asarray(image)
            size = (scores.shape[0], scores.shape[1])
            masks = mask_files(str(row.mask_path)) if row.label != GOOD else []
            yield scores, read_defects(masks, size=size, config=config, label=str(row.label))


def smoothed(scores: npt.NDArray[np.float64], passes: int, reach: int) -> npt.NDArray[np.float64]:
    """Average with neighbours on both sides, wrapping around."""
    for axis in [0, 1] * passes:
        scores = (scores + np.roll(scores, reach, axis) + np.roll(scores, -reach, axis)) / 3
    return scores
