"""The exact figures of each group, from scored test images that were collected once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from anomalib_federated.evaluation.fairness.covering import Distances, radii
from anomalib_federated.evaluation.fairness.division import Division
from anomalib_federated.evaluation.fairness.figures import FIGURES
from anomalib_federated.evaluation.figures import ImageFigures
from anomalib_federated.evaluation.measuring.groups import (
    Part,
    auc_spro_of_parts,
    channels_of,
    classification_of,
    has_free_pixels,
)
from anomalib_federated.metrics import pixel_classification_of, rates_at


@dataclass(frozen=True, kw_only=True, eq=False)
class Members:
    """What a group is made of.

    Attributes:
        parts: Scores of its test images' pixels.
        images: Its test images.
        distances: Of its normal held-out pictures, by name.
    """

    parts: tuple[Part, ...]
    images: tuple[ImageFigures, ...]
    distances: Mapping[str, Distances]

    @property
    def localized(self) -> bool:
        """Whether figures of pixels are defined."""
        return (
            all(part.without_masks == 0 for part in self.parts)
            and channels_of(self.parts) > 0
            and has_free_pixels(self.parts)
        )


def members_of(division: Division, group: str, parts: Sequence[Part], distances: Mapping[str, Distances]) -> Members:
    """The parts, images and held-out pictures of a group; no part may hold images of two of the division's groups."""
    own = tuple(part for part in parts if division.has(part.images[0].name, group))
    return Members(
        parts=own,
        images=tuple(image for part in own for image in part.images),
        distances={name: distances[name] for name in sorted(distances) if division.has(name, group)},
    )


def figures_of_members(members: Members, thresholds: Mapping[float, float]) -> dict[str, float | None]:
    """All figures of a group.

    Args:
        members: Of the group.
        thresholds: That all groups have in common, by the TNR that they were set for; empty if there are none.

    Returns:
        By the names of :data:`~anomalib_federated.evaluation.fairness.figures.FIGURES`, in their order; ``None`` where
        the group does not define one.
    """
    classification = classification_of(members.images)
    found: dict[str, float | None] = dict.fromkeys(FIGURES)
    found["image_auroc"], found["average_precision"] = classification.auroc, classification.average_precision
    if members.localized:
        pixels = pixel_classification_of([part.pixels for part in members.parts])
        found["pixel_auroc"], found["pixel_average_precision"] = pixels.auroc, pixels.average_precision
        for limit, value in (auc_spro_of_parts(members.parts) or {}).items():
            found[f"auc_spro@{limit}"] = value
    good = [image.score for image in members.images if image.good]
    defective = [image.score for image in members.images if not image.good]
    for tnr, threshold in thresholds.items():
        found[f"tpr@tnr{tnr}"] = _share_called(threshold, defective)
        found[f"fpr@tnr{tnr}"] = _share_called(threshold, good)
        found[f"called@tnr{tnr}"] = _share_called(threshold, good + defective)
    if members.distances:
        found["covering_radius"], found["covering_p95"] = radii(list(members.distances.values()))
    return found


def _share_called(threshold: float, scores: Sequence[float]) -> float | None:
    return rates_at(threshold, good=(), defective=scores)[0]
