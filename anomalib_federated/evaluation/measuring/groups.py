"""Figures of parts of the defective images, each together with all good ones.

Images are kept in parts that no group cuts: those of one folder whose channels are of the same types. A group is some
parts, and of their channels all or those of one type; its false positive rate is over the pixels free of every defect.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sklearn.metrics import average_precision_score, roc_auc_score

from anomalib_federated.data.layout import GOOD
from anomalib_federated.evaluation.figures import Classification, Group, GroupKind, ImageFigures
from anomalib_federated.evaluation.measuring.scored_image import ScoredImage
from anomalib_federated.metrics import FPR_LIMITS, SproAccumulator, auc_spro_of


@dataclass(kw_only=True)
class Part:
    """Images of one folder whose channels are of the same types.

    Attributes:
        folder: Sub-folder of the images, ``good`` if they are normal.
        types: Names of their channels.
        pixels: Scores of their pixels.
        without_masks: How many images have no masks though they are defective.
        images: The images.
    """

    folder: str
    types: frozenset[str]
    pixels: SproAccumulator = field(default_factory=SproAccumulator)
    without_masks: int = 0
    images: list[ImageFigures] = field(default_factory=list)

    def add(self, scored: ScoredImage, image: ImageFigures) -> None:
        """Add an image; one without masks adds its score only."""
        self.images.append(image)
        if scored.defects is None:
            self.without_masks += 1
            return
        self.pixels.add(scored.anomaly_map, scored.defects)


def groups_of(parts: Sequence[Part], kinds: Mapping[str, str], *, localized: bool) -> tuple[Group, ...]:
    """Groups by defect type, by folder, and by kind.

    Args:
        parts: All parts of the test set.
        kinds: Folder to kind, such as structural or logical; folders that are not in it are of no kind.
        localized: Whether the masks are there.
    """
    good = [part for part in parts if part.folder == GOOD]
    defective = [part for part in parts if part.folder != GOOD]
    types = sorted({name for part in defective for name in part.types})
    groups = [
        _group("defect type", name, good, [part for part in defective if name in part.types], names=[name])
        for name in types
        if localized
    ]
    by_folder = _grouped(defective, {part.folder: part.folder for part in defective})
    by_kind = _grouped(defective, kinds)
    groups += [_group("folder", name, good, own, localized=localized) for name, own in by_folder.items()]
    groups += [_group("kind", name, good, own, localized=localized) for name, own in by_kind.items()]
    return tuple(groups)


def classification_of(images: Iterable[ImageFigures]) -> Classification:
    """Figures of image scores; not defined if all images are good or all defective."""
    scores, defective = [], []
    for image in images:
        scores.append(image.score)
        defective.append(not image.good)
    if all(defective) or not any(defective):
        return Classification()
    return Classification(
        auroc=float(roc_auc_score(defective, scores)),
        average_precision=float(average_precision_score(defective, scores)),
    )


def auc_spro_of_parts(parts: Sequence[Part], *, names: Sequence[str] | None = None) -> dict[str, float] | None:
    """AUC-sPRO at all limits; ``None`` without a channel or a pixel free of defects."""
    if channels_of(parts, names=names) == 0 or not has_free_pixels(parts):
        return None
    found = auc_spro_of([part.pixels for part in parts], fpr_limits=FPR_LIMITS, names=names)
    return {str(limit): value for limit, value in found.items()}


def channels_of(parts: Iterable[Part], *, names: Sequence[str] | None = None) -> int:
    """Number of channels, or of those of some names."""
    return sum(names is None or channel.name in names for part in parts for channel in part.pixels.channels)


def has_free_pixels(parts: Iterable[Part]) -> bool:
    """Whether a pixel is free of every defect."""
    return any(len(part.pixels.normal) for part in parts)


def _group(
    kind: GroupKind,
    name: str,
    good: Sequence[Part],
    own: Sequence[Part],
    *,
    names: Sequence[str] | None = None,
    localized: bool = True,
) -> Group:
    every = [*good, *own]
    return Group(
        kind=kind,
        name=name,
        images=sum(len(part.images) for part in own),
        channels=channels_of(own, names=names),
        classification=classification_of(image for part in every for image in part.images),
        auc_spro=auc_spro_of_parts(every, names=names) if localized else None,
    )


def _grouped(parts: Iterable[Part], names: Mapping[str, str]) -> dict[str, list[Part]]:
    grouped: dict[str, list[Part]] = {}
    for part in parts:
        if part.folder in names:
            grouped.setdefault(names[part.folder], []).append(part)
    return {name: grouped[name] for name in sorted(grouped)}
