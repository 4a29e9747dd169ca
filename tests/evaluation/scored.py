"""Made-up scored images."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from anomalib_federated.evaluation.measuring.scored_image import ScoredImage
from anomalib_federated.metrics import Defect


def scored_image(
    index: int,
    folder: str,
    rng: np.random.Generator,
    *,
    size: tuple[int, int] = (24, 30),
    strength: float = 1.0,
    types: tuple[str, ...] = ("scratch",),
    category: str = "screw",
) -> ScoredImage:
    """An image with noise for a map, raised where its defects are: one rectangle per type, which may overlap."""
    anomaly_map = rng.gamma(2.0, 0.5, size=size).astype(np.float32)
    defects = []
    for name in () if folder == "good" else types:
        mask = np.zeros(size, dtype=bool)
        row, column = rng.integers(0, size[0] - 6), rng.integers(0, size[1] - 6)
        mask[row : row + rng.integers(2, 6), column : column + rng.integers(2, 6)] = True
        anomaly_map[mask] += np.float32(strength)
        defects.append(Defect(mask, max(1, int(mask.sum()) // 2), name))
    return ScoredImage(
        name=f"test/{folder}/{index:04d}.png",
        category=category,
        defect_type=folder,
        score=float(anomaly_map.max()),
        anomaly_map=anomaly_map,
        defects=tuple(defects),
        image_path=Path(f"{folder}/{index:04d}.png"),
    )


def scored_test_set(seed: int = 0, *, images: int = 6, **settings: object) -> list[ScoredImage]:
    """Good images, and defective ones of two folders."""
    rng = np.random.default_rng(seed)
    folders = {"good": ("",), "bent": ("scratch",), "missing": ("scratch", "hole")}
    return [
        scored_image(index, folder, rng, types=types, **settings)  # type: ignore[arg-type]
        for folder, types in folders.items()
        for index in range(images)
    ]
