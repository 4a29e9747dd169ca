"""What is measured of the groups of a category's pictures, in the shape of ``fairness.json``.

A figure that a group does not define is ``None``, never 0, and the indices over the groups name it as left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from pydantic import ConfigDict, with_config

from anomalib_federated.evaluation.figures import Interval
from anomalib_federated.metrics import FPR_LIMITS

By: TypeAlias = Literal["group", "site", "defect type", "category"]
"""What pictures are divided by: what a grouping says, the site that would hold them, or their folder of defects."""

TNRS = (0.99, 0.95, 0.9)
"""Shares of normal pictures that shall pass, by the AutoVI protocol."""

FIGURES = {
    "image_auroc": "image AUROC",
    "average_precision": "image AP",
    "pixel_auroc": "pixel AUROC",
    "pixel_average_precision": "pixel AP",
    **{f"auc_spro@{limit}": f"AUC-sPRO@{limit}" for limit in FPR_LIMITS},
    **{f"tpr@tnr{tnr}": f"TPR at {100 * tnr:g} % TNR" for tnr in TNRS},
    **{f"fpr@tnr{tnr}": f"FPR at {100 * tnr:g} % TNR" for tnr in TNRS},
    **{f"called@tnr{tnr}": f"called defective at {100 * tnr:g} % TNR" for tnr in TNRS},
    "covering_p95": "95 % distance",
    "covering_radius": "largest distance",
}
"""Figures of a group, by name, and in words. TPR, FPR and the share called defective are at the thresholds that all
groups have in common. The distances are those of patches of normal held-out pictures to their nearest bank row."""

SHOWN = ("image_auroc", "auc_spro@0.05", "tpr@tnr0.95", "fpr@tnr0.95", "covering_p95")
"""The figures that tables show; the others are in the file."""

WITHOUT_INTERVAL = "covering_radius"
"""The figure without an interval: resampled pictures never show a larger distance than there is."""


def higher_is_better(figure: str) -> bool:
    """Whether a group with a high value is well off.

    Example:
        >>> [name for name in SHOWN if not higher_is_better(name)]
        ['fpr@tnr0.95', 'covering_p95']
    """
    return not figure.startswith(("fpr@", "called@", "covering_"))


@dataclass(frozen=True, kw_only=True)
class GroupFigures:
    """Figures of one group.

    Attributes:
        name: Its name.
        good: Good test pictures in it.
        defective: Defective ones.
        channels: Mask channels of them.
        held_out: Normal pictures, neither trained on nor tested, behind its distances; 0 if those are not known.
        figures: By the names of :data:`FIGURES`.
        intervals: Bootstrap intervals of those that are defined and can have one.
    """

    name: str
    good: int
    defective: int
    channels: int
    held_out: int
    figures: dict[str, float | None]
    intervals: dict[str, Interval]


@dataclass(frozen=True, kw_only=True)
class Indices:
    """How far the groups lie apart in one figure.

    The formulas are those of :mod:`anomalib_federated.evaluation.fairness.indices`.

    Attributes:
        groups: How many have the figure, at least two.
        left_out: Groups that do not define it.
        worst: The worst of the others.
        worst_value: What it has.
        best: The best of them.
        best_value: What it has.
        gap: Largest value less smallest. Of TPR it is the equal-opportunity difference, of FPR that of predictive
            equality, of the share called defective that of demographic parity.
        gap_interval: Of the gap; ``None`` if pictures were not resampled.
        mean: Of the groups, each counting once.
        jain: Jain's index; near 1 for any similar values.
        variance: Population variance.
        standard_deviation: Its root.
        coefficient_of_variation: That by the mean; ``None`` if the mean is 0.
        ratio: Largest value by smallest; ``None`` if the smallest is 0.
    """

    groups: int
    left_out: tuple[str, ...]
    worst: str
    worst_value: float
    best: str
    best_value: float
    gap: float
    gap_interval: Interval | None = None
    mean: float
    jain: float | None
    variance: float
    standard_deviation: float
    coefficient_of_variation: float | None
    ratio: float | None


@dataclass(frozen=True, kw_only=True)
class DividedFigures:
    """All groups of one division.

    Attributes:
        by: What pictures were divided by.
        groups: In alphabetical order.
        of_no_group: Test pictures that are in none.
        indices: By figure; absent where fewer than two groups define it.
    """

    by: By
    groups: tuple[GroupFigures, ...]
    of_no_group: int
    indices: dict[str, Indices]


@with_config(ConfigDict(extra="forbid", allow_inf_nan=False))
@dataclass(frozen=True, kw_only=True)
class Fairness:
    """How alike a method serves the groups of a category's pictures.

    Attributes:
        method: Name of the method.
        category: Name of the category.
        seed: Of the run.
        divisions: One for each way in which pictures were divided.
        thresholds: Image thresholds that all groups have in common, by the TNR that they were set for: ``"0.95"``.
        validation_images: How many normal pictures set them.
        confidence: Of the intervals.
        resamples: Of the bootstrap behind them; 0 if none were made.
    """

    method: str
    category: str
    seed: int
    divisions: tuple[DividedFigures, ...]
    thresholds: dict[str, float]
    validation_images: int
    confidence: float
    resamples: int

    def by(self, by: By) -> DividedFigures | None:
        """The groups of one division; ``None`` if pictures were not divided so."""
        return next((division for division in self.divisions if division.by == by), None)
