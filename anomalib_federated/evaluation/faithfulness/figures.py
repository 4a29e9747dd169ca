"""What is measured of explanations of a category's test pictures, in the shape of ``faithfulness.json``.

A figure that no picture defines is ``None``, never 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import ConfigDict, Field, with_config

from anomalib_federated.evaluation.figures import Interval


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A mean over pictures.

    Attributes:
        mean: Of those that define the figure.
        pictures: How many these are.
        interval: Of the mean, if there are enough of them.
    """

    mean: float
    pictures: Annotated[int, Field(ge=1)]
    interval: Interval | None = None


@dataclass(frozen=True, kw_only=True)
class Check:
    """Whether explanations change with a random detector.

    Attributes:
        correlation: Absolute rank correlation with the explanations of the random detector.
        passed: Whether its mean is below the bar.
    """

    correlation: Figure
    passed: bool


@dataclass(frozen=True, kw_only=True)
class MethodFaithfulness:
    """What the explanations of one method are worth.

    Attributes:
        explainer: Name of the method.
        explained: Pictures that it could explain.
        refusals: For each that it could not, why.
        deletion: ``None``, like all that follow, where no picture defines it.
        insertion: Likewise.
        pointing: Likewise.
        overlap: Likewise.
        bank: Whether a random bank changes the explanations.
        backbone: Whether a random network does.
        seconds: Median of a picture; ``None`` if nothing was explained.
    """

    explainer: str
    explained: Annotated[int, Field(ge=0)]
    refusals: tuple[str, ...]
    deletion: Figure | None
    insertion: Figure | None
    pointing: Figure | None
    overlap: Figure | None
    bank: Check | None
    backbone: Check | None
    seconds: float | None

    @property
    def passed(self) -> bool:
        """Whether both checks are passed."""
        return all(check is not None and check.passed for check in (self.bank, self.backbone))


@dataclass(frozen=True, kw_only=True)
class TriedPicture:
    """A picture that was explained.

    Attributes:
        name: Path below the category's folder.
        score: Raw.
        reference_score: Of the picture that replaces it in deletion and insertion, by itself.
        remaining: What is left of the score with all pixels replaced; where it is all, neither is defined.
    """

    name: str
    score: float
    reference_score: float
    remaining: float


@with_config(ConfigDict(extra="forbid", allow_inf_nan=False))
@dataclass(frozen=True, kw_only=True)
class FaithfulnessResult:
    """How faithful the explanations of one detector are on one category.

    Attributes:
        category: Name of the category.
        seed: Decides the pictures, the explanations, what is random in the random detectors, and the intervals.
        pictures: Defective test pictures, in the order in which they were drawn.
        methods: Of each explainer, in the order in which they were asked for.
        threshold: Of the detector's picture scores; ``None`` if it has none.
        bar: Of the mean absolute rank correlation, below which a check is passed.
        tolerance: Of the pointing game, in pixels as the network sees them.
        steps: Of deletion and insertion, at most.
        confidence: Of the intervals.
        resamples: Of the bootstrap behind them; 0 if none were made.
        settings: Of the explainers, and all else that decides the figures, as plain data.
    """

    category: str
    seed: int
    pictures: Annotated[tuple[TriedPicture, ...], Field(min_length=1)]
    methods: Annotated[tuple[MethodFaithfulness, ...], Field(min_length=1)]
    threshold: float | None
    bar: float
    tolerance: float
    steps: int
    confidence: float
    resamples: int
    settings: dict[str, object]

    @property
    def lowered(self) -> int:
        """Pictures that lose some score with all pixels replaced, so that deletion and insertion are defined."""
        return sum(picture.score > picture.remaining for picture in self.pictures)
