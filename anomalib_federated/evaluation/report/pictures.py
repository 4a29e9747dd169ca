"""The gallery in the report: each picture is held once, however many methods show it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from anomalib_federated.evaluation.gallery.gallery import GALLERY, Entry, Example, Layer, Verdict, read_gallery
from anomalib_federated.evaluation.report.numbers import Cells
from anomalib_federated.evaluation.results import METRICS, read_result

VERDICT_WORDS: dict[Verdict, str] = {
    "missed": "missed defect",
    "false_alarm": "false alarm",
    "found": "found defect",
    "passed": "passed",
}
SHOWN: dict[Verdict, int] = {"missed": 6, "false_alarm": 6, "found": 2, "passed": 2}
"""Examples of each verdict, category and method; those that are right only show what is close to the threshold."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture of the page's store.

    Attributes:
        key: Its id in the page.
        uri: Its content.
        width: In pixels.
        height: Likewise.
    """

    key: str
    uri: str
    width: int
    height: int


@dataclass(frozen=True, kw_only=True)
class Card:
    """An example in the gallery.

    Attributes:
        method: Whose verdict it is.
        category: Of the image.
        entry: What ``gallery.json`` says of it.
        words: The verdict in words.
        threshold: Of the image score.
        layers: Key of the picture by layer.
    """

    method: str
    category: str
    entry: Entry
    words: str
    threshold: float
    layers: dict[Layer, str]

    @property
    def panels(self) -> list[tuple[tuple[Layer, ...], str, str]]:
        """Per panel: its layers from below, its name, and what it shows for those who cannot see it."""
        name, method = f"{self.category} {self.entry.name}", self.method
        found: list[tuple[tuple[Layer, ...], str, str]] = [(("image",), "image", f"Test image {name}")]
        if "defect" in self.layers:
            found.append((("image", "defect"), "annotated defect", f"Outline of the annotated defect of {name}"))
        else:
            found.append(((), "annotated defect", f"No defect is annotated in {name}"))
        found.append((("map",), "anomaly map", f"Anomaly map of {method} for {name}"))
        found.append((("image", "heat"), "map over image", f"What {method} sees in {name}"))
        return found


def gallery_folders(folder: Path) -> dict[tuple[str, str, int], Path]:
    """Galleries below a folder by method, category and seed.

    Raises:
        ResultError: If the ``metrics.json`` beside one is unusable.
    """
    found = {}
    # A gallery without metrics.json is of a measurement that was cut off.
    for path in sorted(folder.glob(f"**/{METRICS}/*/*/metrics.json")):
        if (path.parent / GALLERY).is_dir():
            result = read_result(path)
            found[result.method, result.category, result.seed] = path.parent / GALLERY
    return found


def gallery_cards(folder: Path, cells: Cells, methods: Sequence[str]) -> tuple[list[Card], list[Picture]]:
    """Cards of the first seed's galleries, by category, verdict, rank and method, and the pictures that they show.

    Raises:
        GalleryError: If a gallery is damaged.
    """
    folders = gallery_folders(folder)
    pictures: dict[str, Picture] = {}
    cards = [
        _card(method, category, example, pictures)
        for (method, category), (first, *_) in cells.items()
        if (path := folders.get((method, category, first.seed))) is not None
        for example in read_gallery(path)
        if example.entry.rank < SHOWN[example.entry.verdict]
    ]
    cards.sort(key=lambda card: (card.category, *card.entry.place, methods.index(card.method)))
    return cards, list(pictures.values())


def _card(method: str, category: str, example: Example, pictures: dict[str, Picture]) -> Card:
    layers: dict[Layer, str] = {}
    for layer, path in example.pictures.items():
        data = path.read_bytes()
        key = f"p{hashlib.sha256(data).hexdigest()[:16]}"
        layers[layer] = key
        if key not in pictures:
            uri = f"data:image/webp;base64,{base64.b64encode(data).decode()}"
            pictures[key] = Picture(key=key, uri=uri, width=example.entry.width, height=example.entry.height)
    return Card(
        method=method,
        category=category,
        entry=example.entry,
        words=VERDICT_WORDS[example.entry.verdict],
        threshold=example.threshold,
        layers=layers,
    )
