"""The scored test images of a category as they are kept: scores by part, never the maps with their masks."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass

from anomalib_federated.evaluation.figures import ImageFigures
from anomalib_federated.evaluation.measuring.groups import Part
from anomalib_federated.evaluation.measuring.pixel_counts import PixelCounts
from anomalib_federated.evaluation.measuring.scored_image import ScoredImage


@dataclass(frozen=True, kw_only=True, eq=False)
class ScoredSet:
    """What remains of the images.

    Attributes:
        category: Their category; empty if there was no image.
        parts: Scores of their pixels, in parts that no group cuts.
        images: Score of each, in the order in which they came.
        counts: What resampling needs of their pixels; ``None`` if nothing is resampled.
    """

    category: str
    parts: list[Part]
    images: list[ImageFigures]
    counts: PixelCounts | None


def collect(
    scored: Iterable[ScoredImage],
    *,
    with_counts: bool,
    cut: Callable[[str], Hashable] = lambda _: None,
) -> ScoredSet:
    """Keep what figures are made of.

    Args:
        scored: The images; may be a generator, each is looked at once.
        with_counts: Whether images will be resampled.
        cut: Of an image's name, what tells its groups apart: no part holds images of which it says different things.

    Raises:
        ValueError: If an image comes twice or two categories are mixed.
    """
    parts: dict[Hashable, Part] = {}
    images: dict[str, ImageFigures] = {}
    counts = PixelCounts() if with_counts else None
    category = ""
    for item in scored:
        category = category or item.category
        if item.category != category:
            msg = f"{item.name} is of '{item.category}', images before it of '{category}'; measure each category alone."
            raise ValueError(msg)
        if item.name in images:
            msg = f"{category}/{item.name} comes twice; score each test image once."
            raise ValueError(msg)
        images[item.name] = ImageFigures(name=item.name, defect_type=item.defect_type, score=item.score)
        types = frozenset(defect.name for defect in item.defects or ())
        key = (item.defect_type, types, cut(item.name))
        if key not in parts:
            parts[key] = Part(folder=item.defect_type, types=types)
        parts[key].add(item, images[item.name])
        if counts is not None:
            counts.add(item)
    return ScoredSet(category=category, parts=list(parts.values()), images=list(images.values()), counts=counts)
