"""Writes the demo data set in the layout of AutoVI."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anomalib_federated.data.demo.canvas import Canvas, pixel_size
from anomalib_federated.data.demo.catalog import CATALOG, DemoCategory
from anomalib_federated.data.demo.defects import paint_dirt, paint_rarity, paint_structural
from anomalib_federated.data.demo.lighting import SITES, photograph

MIN_SIDE = 16  # pixels; below that a part cannot be told from its background
RARE_EVERY, RARE_FROM = 7, 3  # good images 3, 10, 17, ... carry a harmless rarity: one in seven


@dataclass(frozen=True)
class _Shot:
    """One image to draw; its random numbers depend on these fields and the seed alone."""

    category: int
    split: int  # 0 train, 1 test
    kind: int  # 0 good, then the defect types in the order of the catalog
    index: int

    def rng(self, seed: int) -> np.random.Generator:
        entropy = [seed, self.category, self.split, self.kind, self.index]
        return np.random.default_rng(np.random.SeedSequence(entropy))

    @property
    def site(self) -> int:
        return (self.index + self.kind) % len(SITES)

    @property
    def name(self) -> str:
        return f"{SITES[self.site].name}_{self.index:03d}"


def make_demo_dataset(
    root: str | Path,
    *,
    seed: int = 0,
    categories: Sequence[str] | None = None,
    scale: float = 0.32,
    train_images: int = 40,
    good_images: int = 12,
    images_per_defect: int = 4,
) -> Path:
    """Draw a small data set with the layout, the categories and the defect types of AutoVI.

    The pictures are drawn, not photographed: they show that a pipeline works and how methods differ, not how well a
    method does on real parts. Image ``s3_017.png`` comes from the third of five sites, which differ in light and
    camera. One good image in seven carries a harmless rarity. An image depends on the seed, the scale, its category,
    split, type and index alone: other categories or counts do not change it.

    Args:
        root: Folder that gets one folder per category; it is made if absent.
        seed: Seed of all images, at least 0.
        categories: Names of the categories to draw; all six if ``None``.
        scale: Size relative to AutoVI's 400 x 400 and 1000 x 750 pixels, in (0, 1].
        train_images: Good training images per category.
        good_images: Good test images per category.
        images_per_defect: Test images per defect type.

    Returns:
        ``root`` as a path.

    Raises:
        TypeError: If ``categories`` is a single text.
        ValueError: If an argument is out of range or a category is unknown.
        FileExistsError: If the folder of a category exists already.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     root = make_demo_dataset(folder, categories=["tank_screw"], scale=0.05, train_images=2)
        ...     sorted(path.name for path in (root / "tank_screw" / "train" / "good").iterdir())
        ['s1_000.png', 's2_001.png']
    """
    chosen = _chosen(categories)
    _check(seed, scale, train_images, good_images, images_per_defect)
    root = Path(root)
    for number in chosen:
        if (root / CATALOG[number].name).exists():
            msg = f"{root / CATALOG[number].name} exists already: remove it, or draw into another folder."
            raise FileExistsError(msg)
    root.mkdir(parents=True, exist_ok=True)
    for number in chosen:
        category = CATALOG[number]
        shots = [_Shot(number, 0, 0, index) for index in range(train_images)]
        shots += [_Shot(number, 1, 0, index) for index in range(good_images)]
        shots += [
            _Shot(number, 1, 1 + kind, i) for kind in range(len(category.types)) for i in range(images_per_defect)
        ]
        _write_category(root, category, shots, seed=seed, scale=scale)
    return root


def _chosen(categories: Sequence[str] | None) -> list[int]:
    known = [category.name for category in CATALOG]
    if categories is None:
        return list(range(len(known)))
    if isinstance(categories, str):
        msg = f"categories must be a list of names, got the text {categories!r}: write [{categories!r}]."
        raise TypeError(msg)
    for name in categories:
        if name not in known:
            msg = f"Unknown demo category {name!r}: choose from {', '.join(known)}."
            raise ValueError(msg)
    if not categories or len(set(categories)) != len(categories):
        msg = f"categories must name at least one category and none twice, got {list(categories)}."
        raise ValueError(msg)
    return [known.index(name) for name in categories]


def _check(seed: int, scale: float, train_images: int, good_images: int, images_per_defect: int) -> None:
    if seed < 0:
        msg = f"seed must be at least 0, got {seed}."
        raise ValueError(msg)
    smallest = MIN_SIDE / min(min(category.size) for category in CATALOG)
    if not smallest <= scale <= 1:
        msg = f"scale must lie in (0, 1] and give images of at least {MIN_SIDE} pixels ({smallest:g}), got {scale}."
        raise ValueError(msg)
    counts = {"train_images": train_images, "good_images": good_images, "images_per_defect": images_per_defect}
    for name, count in counts.items():
        if count < 1:
            msg = f"{name} must be at least 1, got {count}."
            raise ValueError(msg)


def _write_category(root: Path, category: DemoCategory, shots: list[_Shot], *, seed: int, scale: float) -> None:
    # Drawn beside and renamed at the end, so that a folder with the category's name is always complete.
    beside = Path(tempfile.mkdtemp(prefix=f".{category.name}-", dir=root))
    try:
        folder = beside / category.name
        folder.mkdir()
        for shot in shots:
            _write_shot(folder, category, shot, seed=seed, scale=scale)
        config = json.dumps(_config(category, scale), indent=2)
        (folder / "defects_config.json").write_text(config + "\n", encoding="utf-8")
        folder.rename(root / category.name)
    finally:
        shutil.rmtree(beside)


def _config(category: DemoCategory, scale: float) -> list[dict[str, str | float | bool]]:
    width, height = pixel_size(category.size, scale)
    share = width * height / (category.size[0] * category.size[1])
    return [
        {
            "defect_name": defect.name,
            "pixel_value": defect.pixel_value,
            "saturation_threshold": defect.saturation
            if isinstance(defect.saturation, float)
            else max(1, round(defect.saturation * share)),
            "relative_saturation": isinstance(defect.saturation, float),
        }
        for defect in category.defects
    ]


def _write_shot(folder: Path, category: DemoCategory, shot: _Shot, *, seed: int, scale: float) -> None:
    types = list(category.types)
    type_name = types[shot.kind - 1] if shot.kind else "good"
    image, masks = _draw(category, shot, scale=scale, rng=shot.rng(seed))
    _save(image, folder / ("test" if shot.split else "train") / type_name / f"{shot.name}.png")
    values = {defect.name: defect.pixel_value for defect in category.defects}
    for number, (name, mask) in enumerate(masks):
        painted = np.where(mask[:, :, None], np.uint8(values[name]), np.uint8(0)).repeat(3, axis=2)
        _save(painted, folder / "ground_truth" / type_name / shot.name / f"{number:04d}.png")


def _draw(
    category: DemoCategory,
    shot: _Shot,
    *,
    scale: float,
    rng: np.random.Generator,
) -> tuple[NDArray[np.uint8], list[tuple[str, NDArray[np.bool_]]]]:
    turns = list(category.types.values())[shot.kind - 1] if shot.kind else (frozenset(),)
    faults = turns[shot.index % len(turns)]
    mode = None
    if not faults and shot.index % RARE_EVERY == RARE_FROM:
        mode = category.rarities[shot.index // RARE_EVERY % len(category.rarities)]
    canvas = Canvas(category.size, scale, rng)
    category.draw(canvas, rng, faults, mode)
    paint_dirt(canvas, rng)
    paint_structural(canvas, rng, faults)
    if mode is not None:
        paint_rarity(canvas, rng, mode)
    return photograph(canvas.pixels(), SITES[shot.site], rng), canvas.masks()


def _save(pixels: NDArray[np.uint8], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, compress_level=1)
