"""The test images that say most about a detector: the worst of what it got wrong, the closest of what it got right."""

from __future__ import annotations

import math
import shutil
import tempfile
from bisect import insort
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config

from anomalib_federated.deploy.layers import heat_layer, heat_map, normalise, outline_layer
from anomalib_federated.first_problem import first_problem
from anomalib_federated.pictures import read_image

if TYPE_CHECKING:  # it needs torch, which reading a gallery does not
    from anomalib_federated.evaluation.measuring.scored_image import ScoredImage

Verdict: TypeAlias = Literal["missed", "false_alarm", "found", "passed"]
"""Defective and not called so, good and called defective, defective and called so, good and not called defective."""

VERDICTS: tuple[Verdict, ...] = get_args(Verdict)

Layer: TypeAlias = Literal["image", "defect", "map", "heat"]
"""The picture; the outline of its annotated defects; the anomaly map as colours; these and the outline of what lies
above the pixel threshold, both to lay over the picture."""

GALLERY = "gallery"
"""Folder of a gallery beside ``metrics.json``."""

LONGEST_SIDE = 480
"""Pixels of the pictures."""

_QUALITY = 65
_INDEX = "gallery.json"


class GalleryError(ValueError):
    """A gallery cannot be used; the message names the file."""


@with_config(ConfigDict(extra="forbid", allow_inf_nan=False))
@dataclass(frozen=True, kw_only=True)
class Entry:
    """What ``gallery.json`` says of an example.

    Attributes:
        name: Path of the image below the category's folder.
        defect_type: Its folder, ``good`` if it is normal.
        score: Raw image score.
        verdict: What the threshold made of it.
        rank: 0 for the first of its verdict.
        width: Of its pictures, in pixels.
        height: Likewise.
    """

    name: str
    defect_type: str
    score: float
    verdict: Verdict
    rank: int
    width: int
    height: int

    @property
    def place(self) -> tuple[int, int]:
        """Where it stands in a gallery: by verdict, then by rank."""
        return VERDICTS.index(self.verdict), self.rank

    def file_name(self, layer: Layer) -> str:
        """Name of a picture of this example."""
        return f"{self.verdict}_{self.rank:02d}_{layer}.webp"


@with_config(ConfigDict(extra="forbid", allow_inf_nan=False))
@dataclass(frozen=True, kw_only=True)
class _Index:
    threshold: float
    pixel_threshold: float
    examples: tuple[Entry, ...]


_INDEX_TYPE = TypeAdapter(_Index)


@dataclass(frozen=True, kw_only=True)
class Example:
    """One example of a gallery that was written.

    Attributes:
        entry: What is known of it.
        threshold: Images that score above are called defective.
        pictures: File by layer; there is no ``defect`` if no defect is annotated.
    """

    entry: Entry
    threshold: float
    pictures: dict[Layer, Path]

    def picture(self, layer: Layer) -> Image.Image:
        """A layer as one looks at it, RGB: ``defect`` and ``heat`` lie on the picture.

        Raises:
            KeyError: If there is no such layer.
        """
        with Image.open(self.pictures[layer]) as opened:
            top = opened.convert("RGBA")
        if layer in {"image", "map"}:
            return top.convert("RGB")
        with Image.open(self.pictures["image"]) as opened:
            return Image.alpha_composite(opened.convert("RGBA"), top).convert("RGB")


@dataclass(frozen=True, order=True)
class _Kept:
    """An image that may be written; hard ones come first when sorted."""

    hardness: tuple[float, str]
    name: str = field(compare=False)
    defect_type: str = field(compare=False)
    score: float = field(compare=False)
    image_path: Path = field(compare=False)
    anomaly_map: NDArray[np.float32] = field(compare=False)
    area: NDArray[np.bool_] | None = field(compare=False)


class Gallery:
    """Keeps, of the images of one category, the hardest of each verdict.

    Missed defects and false alarms: furthest on the wrong side of the threshold first. Found and passed ones: closest
    to it first. Equal scores go by name, so the order of adding changes nothing. Only small copies are kept.

    Args:
        threshold: Images that score above are called defective; raw score.
        pixel_threshold: Raw score of the maps that the colours take as the middle of their scale, the same for all
            images; above 0.
        per_verdict: Examples that are kept of each verdict.

    Raises:
        ValueError: If a threshold is not finite, ``pixel_threshold`` not above 0 or ``per_verdict`` below 1.
    """

    def __init__(self, threshold: float, pixel_threshold: float, *, per_verdict: int = 6) -> None:
        if not math.isfinite(threshold):
            msg = f"threshold is {threshold}; give the finite image score above which an image is called defective."
            raise ValueError(msg)
        if not (math.isfinite(pixel_threshold) and pixel_threshold > 0):
            msg = f"pixel_threshold is {pixel_threshold}; give a finite score above 0, the colours are scaled by it."
            raise ValueError(msg)
        if per_verdict < 1:
            msg = f"per_verdict is {per_verdict}; keep at least 1 example."
            raise ValueError(msg)
        self.threshold = float(threshold)
        self.pixel_threshold = float(pixel_threshold)
        self.per_verdict = per_verdict
        self._kept: dict[Verdict, list[_Kept]] = {verdict: [] for verdict in VERDICTS}

    def add(self, scored: ScoredImage) -> None:
        """Look at an image, and keep it if it is among the hardest of its verdict."""
        alarm = scored.score > self.threshold
        verdict: Verdict = ("false_alarm" if alarm else "passed") if scored.good else ("found" if alarm else "missed")
        # Of good images high scores are hard, of defective ones low scores, on both sides of the threshold.
        hardness = (-scored.score if scored.good else scored.score, scored.name)
        kept = self._kept[verdict]
        if len(kept) == self.per_verdict and hardness >= kept[-1].hardness:
            return
        insort(kept, _reduced(scored, hardness))
        del kept[self.per_verdict :]

    def write(self, folder: Path) -> Path:
        """Write ``gallery.json`` and the pictures; a gallery that is there is replaced when the new one is complete.

        Args:
            folder: The gallery's own, such as ``metrics/<method>/<category>/gallery``.

        Raises:
            GalleryError: If the folder holds something else.
            ValueError: If an image cannot be read; the message names it.

        Returns:
            The folder.
        """
        if folder.exists() and not (folder / _INDEX).is_file():
            msg = f"{folder} is there and no gallery; give a gallery a folder of its own."
            raise GalleryError(msg)
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            fresh = beside / folder.name
            fresh.mkdir()
            entries = [
                _write_example(fresh, kept, verdict, rank, self.pixel_threshold)
                for verdict in VERDICTS
                for rank, kept in enumerate(self._kept[verdict])
            ]
            index = _Index(threshold=self.threshold, pixel_threshold=self.pixel_threshold, examples=tuple(entries))
            (fresh / _INDEX).write_bytes(_INDEX_TYPE.dump_json(index, indent=2))
            if folder.exists():
                folder.rename(beside / "old")
            fresh.rename(folder)
        finally:
            shutil.rmtree(beside)
        return folder


def read_gallery(folder: Path) -> list[Example]:
    """Read what :meth:`Gallery.write` wrote, sorted by verdict and rank.

    Raises:
        GalleryError: If there is no gallery, its index is none of ours or a picture is missing.
    """
    path = folder / _INDEX
    try:
        index = _INDEX_TYPE.validate_json(path.read_bytes())
    except FileNotFoundError as error:
        msg = f"There is no {path}; evaluate with a gallery first."
        raise GalleryError(msg) from error
    except ValidationError as error:
        msg = f"{path} is no gallery of this package: {first_problem(error)}; evaluate again."
        raise GalleryError(msg) from error
    return [_read_example(folder, entry, index.threshold) for entry in index.examples]


def _read_example(folder: Path, entry: Entry, threshold: float) -> Example:
    paths: dict[Layer, Path] = {layer: folder / entry.file_name(layer) for layer in get_args(Layer)}
    pictures = {layer: path for layer, path in paths.items() if layer != "defect" or path.exists()}
    for path in pictures.values():
        if not path.is_file():
            msg = f"The picture {path} of {folder / _INDEX} is missing; evaluate again."
            raise GalleryError(msg)
    return Example(entry=entry, threshold=threshold, pictures=pictures)


def _reduced(scored: ScoredImage, hardness: tuple[float, str]) -> _Kept:
    height, width = scored.anomaly_map.shape
    factor = min(1.0, LONGEST_SIDE / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    area = None
    if scored.defects:
        # A scratch thinner than a pixel of the small picture must not vanish: any pixel of it counts.
        small = Image.fromarray(scored.covered().astype(np.float32)).resize(size, Image.Resampling.BOX)
        area = np.asarray(small) > 0
    return _Kept(
        hardness=hardness,
        name=scored.name,
        defect_type=scored.defect_type,
        score=float(scored.score),
        image_path=Path(scored.image_path),
        anomaly_map=np.asarray(Image.fromarray(scored.anomaly_map).resize(size, Image.Resampling.BILINEAR)),
        area=area,
    )


def _write_example(folder: Path, kept: _Kept, verdict: Verdict, rank: int, pixel_threshold: float) -> Entry:
    height, width = kept.anomaly_map.shape
    entry = Entry(
        name=kept.name,
        defect_type=kept.defect_type,
        score=kept.score,
        verdict=verdict,
        rank=rank,
        width=width,
        height=height,
    )
    photo = Image.fromarray(read_image(kept.image_path)).resize((width, height), Image.Resampling.LANCZOS)
    normalised = normalise(kept.anomaly_map, pixel_threshold)
    heat = Image.alpha_composite(heat_layer(normalised), outline_layer(kept.anomaly_map > pixel_threshold))
    layers: dict[Layer, Image.Image] = {"image": photo, "map": heat_map(normalised), "heat": heat}
    if kept.area is not None:
        layers["defect"] = outline_layer(kept.area)
    for layer, picture in layers.items():
        # A thin outline smears in lossy compression, and is smaller without.
        lossless = layer == "defect"
        picture.save(folder / entry.file_name(layer), "WEBP", lossless=lossless, quality=_QUALITY, alpha_quality=50)
    return entry
