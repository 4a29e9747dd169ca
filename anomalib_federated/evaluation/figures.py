"""What is measured of one detector on one category's test images, in the shape of ``metrics.json``.

``localization.auc_spro["0.05"]`` stands where the evaluation code of AutoVI writes it; all else is ours. A figure that
a test set does not define is ``None``, never 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

HEADLINES = {
    "image_auroc": "image AUROC",
    "average_precision": "image AP",
    "auc_spro@0.05": "AUC-sPRO@0.05",
    "pixel_auroc": "pixel AUROC",
    "tpr@tnr0.95": "TPR at 95 % TNR",
}
"""The figures that comparisons are made of, by the names that :meth:`Figures.headline` takes, and in words."""

GroupKind: TypeAlias = Literal["defect type", "folder", "kind"]
"""Defect type: by the name of the mask's pixel value. Folder: of the test image. Kind: structural or logical."""


@dataclass(frozen=True, kw_only=True)
class Counts:
    """How much the figures rest on: images that are good, that are defective, and mask channels."""

    good: int
    defective: int
    channels: int


@dataclass(frozen=True, kw_only=True)
class Classification:
    """Of whole images, good against defective, by their score.

    Attributes:
        auroc: Area under the ROC curve.
        average_precision: Area under the precision-recall curve, by steps.
    """

    auroc: float | None = None
    average_precision: float | None = None


@dataclass(frozen=True, kw_only=True)
class Localization:
    """Of pixels.

    Attributes:
        auc_spro: Exact AUC-sPRO by limit of the false positive rate: "0.01", "0.05", "0.1", "0.3", "1.0".
        pixel_auroc: Area under the ROC curve of all pixels, those of any mask against the others.
        pixel_average_precision: Area under their precision-recall curve, by steps.
    """

    auc_spro: dict[str, float] | None = None
    pixel_auroc: float | None = None
    pixel_average_precision: float | None = None


@dataclass(frozen=True, kw_only=True)
class OperatingPoint:
    """What a threshold from normal validation images does to the test images.

    Attributes:
        tnr: Share of normal validation images that shall pass.
        threshold: Images that score above are called defective.
        tpr: Share of defective test images above it.
        test_tnr: Share of good test images not above it: what the wish became.
        validation_images: How many images set the threshold.
    """

    tnr: float
    threshold: float
    tpr: float | None
    test_tnr: float | None
    validation_images: int


@dataclass(frozen=True, kw_only=True)
class Group:
    """Figures of a part of the defective images, together with all good ones.

    Attributes:
        kind: What the group is made by.
        name: Its name.
        images: Defective images in it.
        channels: Mask channels counted.
    """

    kind: GroupKind
    name: str
    images: int
    channels: int
    classification: Classification
    auc_spro: dict[str, float] | None = None


@dataclass(frozen=True, kw_only=True)
class Interval:
    """Bootstrap interval of a figure, at the confidence that :class:`Figures` names."""

    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Points of the FPR-sPRO curve, both coordinates ascending from 0 to 1; thinned out for drawing."""

    fpr: tuple[float, ...]
    spro: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class ImageFigures:
    """One test image.

    Attributes:
        name: Path below the category's folder, with forward slashes: ``test/scratch/0001.png``.
        defect_type: Its sub-folder, ``good`` if it is normal.
        score: Raw image score.
    """

    name: str
    defect_type: str
    score: float

    @property
    def good(self) -> bool:
        """Whether the image is normal."""
        return self.defect_type == "good"


@dataclass(frozen=True, kw_only=True)
class Figures:
    """All figures of one detector on one category.

    Attributes:
        intervals: By the names of :data:`HEADLINES`; only figures that are defined have one.
        confidence: Of the intervals, such as 0.95.
        resamples: Bootstrap resamples behind them; 0 if none were made.
        validation_scores: Raw scores of the normal validation images, from which thresholds come.
    """

    counts: Counts
    classification: Classification
    localization: Localization
    operating_points: tuple[OperatingPoint, ...] = ()
    groups: tuple[Group, ...] = ()
    intervals: dict[str, Interval]
    confidence: float = 0.95
    resamples: int = 0
    curve: Curve | None = None
    images: tuple[ImageFigures, ...] = ()
    validation_scores: tuple[float, ...] = ()

    def headline(self, name: str) -> float | None:
        """A figure of :data:`HEADLINES` by its name.

        Raises:
            KeyError: If there is no figure of this name.
        """
        figure, _, at = name.partition("@")
        if figure == "auc_spro":
            return None if self.localization.auc_spro is None else self.localization.auc_spro[at]
        if figure == "tpr":
            wished = float(at.removeprefix("tnr"))
            return next((point.tpr for point in self.operating_points if point.tnr == wished), None)
        return {
            "image_auroc": self.classification.auroc,
            "average_precision": self.classification.average_precision,
            "pixel_auroc": self.localization.pixel_auroc,
            "pixel_average_precision": self.localization.pixel_average_precision,
        }[name]
