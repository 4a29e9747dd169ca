"""Figures of explanations, made up."""

from __future__ import annotations

from collections.abc import Sequence

from anomalib_federated.evaluation.faithfulness.figures import FaithfulnessResult, TriedPicture
from anomalib_federated.evaluation.faithfulness.summary import method_faithfulness
from anomalib_federated.explanations.faithfulness.measure import Faithfulness, Refusal


def made_picture(
    value: float | None = 0.25, *, bank: float = 0.1, backbone: float = -0.2, masked: bool = True
) -> Faithfulness:
    """A good method by default; ``value`` is its deletion."""
    return Faithfulness(
        deletion=value,
        insertion=None if value is None else 1 - value,
        pointing=1.0 if masked else None,
        overlap=0.5 if masked else None,
        bank=bank,
        backbone=backbone,
        seconds=0.5,
    )


def made_faithfulness(
    methods: dict[str, Sequence[Faithfulness | Refusal]] | None = None,
    *,
    category: str = "screw",
    references: Sequence[float] = (1.0, 1.0),
    threshold: float | None = 2.0,
    resamples: int = 0,
) -> FaithfulnessResult:
    """Pictures score 3; a method measured on two of them."""
    methods = methods or {"overlay": [made_picture(0.25), made_picture(0.5)]}
    return FaithfulnessResult(
        category=category,
        seed=0,
        pictures=tuple(
            TriedPicture(name=f"test/dent/{number}.png", score=3.0, reference_score=reference, remaining=reference)
            for number, reference in enumerate(references)
        ),
        methods=tuple(method_faithfulness(name, found, resamples=resamples) for name, found in methods.items()),
        threshold=threshold,
        bar=0.5,
        tolerance=8,
        steps=16,
        confidence=0.95,
        resamples=resamples,
        settings={},
    )
