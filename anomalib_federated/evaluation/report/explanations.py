"""The section of the report on explanations: how faithful those of each method are, and some of them to look at."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from anomalib_federated.evaluation.faithfulness.figures import FaithfulnessResult
from anomalib_federated.evaluation.faithfulness.texts import FaithfulnessCell, cells_of, notes_of
from anomalib_federated.explanations.explanation_file import INTERPRETABILITY, ExplanationError, Told, read_told
from anomalib_federated.pictures import UNREADABLE

SHOWN = 2
"""Pictures of each category whose explanations are shown: those with the highest scores."""

WIDTH = 640
"""Of an explanation in the report, in pixels."""


@dataclass(frozen=True, kw_only=True)
class FaithfulnessTable:
    """Figures of the explanations of one category.

    Attributes:
        category: Name of the category.
        rows: Method and one cell per column.
        notes: What they rest on.
    """

    category: str
    rows: tuple[tuple[str, tuple[FaithfulnessCell, ...]], ...]
    notes: str


@dataclass(frozen=True, kw_only=True)
class ExplanationCard:
    """One explanation to look at.

    Attributes:
        told: Its numbers.
        uri: The drawing.
        width: Of the drawing, in pixels.
        height: Likewise.
    """

    told: Told
    uri: str
    width: int
    height: int


def faithfulness_tables(results: Sequence[FaithfulnessResult]) -> list[FaithfulnessTable]:
    """A table for each result, in their order."""
    return [
        FaithfulnessTable(
            category=result.category,
            rows=tuple((method.explainer, cells_of(method)) for method in result.methods),
            notes=" ".join(notes_of(result)),
        )
        for result in results
    ]


def explanation_cards(folder: Path) -> tuple[list[ExplanationCard], int]:
    """Explanations below a folder: of the :data:`SHOWN` pictures of each category with the highest scores, all methods.

    Returns:
        The cards, by category and picture, and how many explanations are private: those show a site's own pictures,
        which a report may not carry away.

    Raises:
        ExplanationError: If an explanation is damaged.
    """
    every = {path: read_told(path) for path in sorted(folder.glob(f"**/{INTERPRETABILITY}/*/*_*.json"))}
    public = {path: told for path, told in every.items() if not told.private}
    chosen = _highest(public)
    cards = [_card(path, public[path]) for path in chosen]
    return cards, len(every) - len(public)


def _highest(every: Mapping[Path, Told]) -> list[Path]:
    by_score = sorted(every, key=lambda path: (every[path].category, -every[path].score, every[path].image, path))
    shown: dict[str, list[str]] = {}
    for path in by_score:
        names = shown.setdefault(every[path].category, [])
        if every[path].image not in names and len(names) < SHOWN:
            names.append(every[path].image)
    return [path for path in by_score if every[path].image in shown[every[path].category]]


def _card(path: Path, told: Told) -> ExplanationCard:
    drawing = path.with_suffix(".png")
    try:
        with Image.open(drawing) as image:
            small = image.convert("RGB")
    except UNREADABLE as error:
        msg = f"{drawing}, the drawing of an explanation, cannot be read: {error}; explain again."
        raise ExplanationError(msg) from error
    small.thumbnail((WIDTH, 4 * WIDTH))
    data = io.BytesIO()
    small.save(data, "WEBP", quality=80)
    uri = f"data:image/webp;base64,{base64.b64encode(data.getvalue()).decode()}"
    return ExplanationCard(told=told, uri=uri, width=small.width, height=small.height)
