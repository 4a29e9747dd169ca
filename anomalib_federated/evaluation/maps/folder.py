"""Folders of anomaly maps, made by any method, in the layout that the evaluation code of AutoVI reads.

``<maps>/<category>/test/<type>/<stem>.png`` holds the map of the image ``<category>/test/<type>/<stem>.*``. Shorter
forms are understood too: ``<maps>/<category>/<type>``, ``<maps>/test/<type>`` and ``<maps>/<type>``. Beside ``test``
there may be ``validation/good``: maps of normal images that were not trained on, under any names, from which thresholds
come.

A map may be of any size; it is brought to its image's size bilinearly. The score of an image is the largest value of
its map as it is stored.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch

from anomalib_federated.data.dataset import InspectionDataset
from anomalib_federated.data.layout import TEST, name_of
from anomalib_federated.evaluation.maps.files import SUFFIXES, MapError, read_map
from anomalib_federated.evaluation.measuring.scored_image import ScoredImage, at_native_size
from anomalib_federated.progress import progress_bar

logger = logging.getLogger(__name__)

VALIDATION = "validation"
"""Folder of the maps that set thresholds."""

RESIZING = "bilinear to the image's size (align_corners=False); image score: largest value of the map as stored"
"""How maps become scores, for ``metrics.json``."""


def read_maps(folder: Path, dataset: InspectionDataset) -> Iterator[ScoredImage]:
    """The images of a data set with their maps, one after the other.

    Args:
        folder: Where the maps lie, in one of the forms above.
        dataset: Test images of one category.

    Raises:
        MapError: Before the first image, if an image has no map or several, or a map has no image; then if a file is
            unusable. The message names the file.
    """
    files = _find_maps(folder, dataset)
    sizes: Counter[str] = Counter()
    with progress_bar("reading maps", total=len(dataset)) as advance:
        for index in range(len(dataset)):
            item = dataset[index]
            stored = read_map(files[item.image_path])
            if stored.shape != tuple(item.native_size):
                sizes["{} x {}".format(*stored.shape)] += 1
            yield ScoredImage(
                name=name_of(item.image_path),
                category=item.category,
                defect_type=item.defect_type,
                score=float(stored.max()),
                anomaly_map=at_native_size(torch.from_numpy(stored), item.native_size),
                defects=item.defects,
                image_path=Path(item.image_path),
            )
            advance(1)
    for size, count in sizes.items():
        logger.info("%d maps of %s pixels were resized bilinearly to the size of their images.", count, size)


def read_validation_scores(folder: Path, category: str) -> list[float]:
    """Image scores of the normal validation maps in ``<maps>/<category>/validation/good``.

    ``<maps>/validation/good`` is understood too. Empty if there is no such folder.

    Raises:
        MapError: If a file is unusable.
    """
    for candidate in (folder / category / VALIDATION, folder / VALIDATION):
        if (candidate / "good").is_dir():
            return [float(read_map(path).max()) for path in _maps_in(candidate / "good")]
    return []


def _find_maps(folder: Path, dataset: InspectionDataset) -> Mapping[str, Path]:
    """The map of each image, by the path of the image."""
    images = [Path(path) for path in dataset.samples["image_path"]]
    (category,) = set(dataset.samples["category"])
    base = _base(folder, category, types={path.parent.name.lower() for path in images})
    found: dict[tuple[str, str], Path] = {}
    for path in (path for below in _folders(base) for path in _maps_in(below)):
        key = (path.parent.name.lower(), path.stem)
        if key in found:
            msg = f"There are two maps for one image, {found[key]} and {path}; delete one of them."
            raise MapError(msg)
        found[key] = path
    wanted: dict[tuple[str, str], Path] = {}
    for image in images:
        key = (image.parent.name.lower(), image.stem)
        if key in wanted:
            msg = f"The images {wanted[key]} and {image} would have the same map; give one of them another name."
            raise MapError(msg)
        wanted[key] = image
    _check_same(base, found, wanted)
    return {str(image): found[key] for key, image in wanted.items()}


def _base(folder: Path, category: str, *, types: set[str]) -> Path:
    """The folder whose sub-folders are the defect types."""
    if not folder.is_dir():
        msg = f"There is no folder of maps {folder}; check the path."
        raise MapError(msg)
    forms = (folder / category / TEST, folder / category, folder / TEST, folder)
    for base in forms:
        if base.is_dir() and any(below.name.lower() in types and _maps_in(below) for below in _folders(base)):
            return base
    endings = ", ".join(SUFFIXES)
    msg = f"There is no map of '{category}' below {folder}; expected {forms[0]}/<type>/<image> ending in {endings}."
    raise MapError(msg)


def _check_same(base: Path, found: Mapping[tuple[str, str], Path], wanted: Mapping[tuple[str, str], Path]) -> None:
    if missing := sorted(wanted.keys() - found.keys()):
        kind, stem = missing[0]
        expected = f"{base / kind / stem}.png (or {', '.join(SUFFIXES[1:])})"
        msg = f"{len(missing)} of {len(wanted)} images have no map: {wanted[missing[0]]} for one, expected {expected}."
        raise MapError(msg)
    if foreign := sorted(found.keys() - wanted.keys()):
        msg = (
            f"{len(foreign)} maps have no image: {found[foreign[0]]} for one; delete it, or give the data set "
            "that holds its image."
        )
        raise MapError(msg)


def _folders(folder: Path) -> list[Path]:
    own = {VALIDATION}
    return sorted(path for path in folder.iterdir() if path.is_dir() and path.name not in own)


def _maps_in(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    )
