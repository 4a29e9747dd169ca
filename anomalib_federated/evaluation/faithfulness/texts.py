"""Figures of explanations as texts, for the terminal and the report alike."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from anomalib_federated.evaluation.faithfulness.figures import Check, FaithfulnessResult, Figure, MethodFaithfulness
from anomalib_federated.evaluation.undefined import NOT_DEFINED

COLUMNS = (
    "deletion (less is better)",
    "insertion (more is better)",
    "pointing game",
    "IoU with the mask",
    "random bank",
    "random backbone",
    "time (s)",
)
"""What :func:`cells_of` gives, in its order."""

HOW_TO_READ = (
    "Deletion and insertion: area under the score as the most relevant pixels are replaced first by those of a "
    "reference (or put into it), where the picture scores 1 and what is left with all replaced 0; no patch counts as "
    "farther from the bank than in the picture itself. Pointing: the most relevant pixel "
    "lies on the defect. IoU: of the mask and as many of the most relevant pixels as it has. Random bank and backbone: "
    "mean absolute rank correlation with the explanation by a detector that has forgotten what it learnt; an "
    "explanation that stays the same tells nothing of the detector."
)
"""A paragraph on the columns."""


@dataclass(frozen=True, kw_only=True)
class FaithfulnessCell:
    """A figure of one method.

    Attributes:
        value: As a text, or why there is none.
        below: Its interval, or whether a check is passed; empty if there is none.
        failed: Whether it is a check that was not passed.
    """

    value: str
    below: str = ""
    failed: bool = False


def cells_of(method: MethodFaithfulness) -> tuple[FaithfulnessCell, ...]:
    """One cell per column of :data:`COLUMNS`."""
    measures = (method.deletion, method.insertion, method.pointing, method.overlap)
    return (
        *map(_measure, measures),
        *map(_check, (method.bank, method.backbone)),
        FaithfulnessCell(value=NOT_DEFINED if method.seconds is None else f"{method.seconds:.2g}"),
    )


def notes_of(result: FaithfulnessResult) -> list[str]:
    """Sentences on what the figures rest on, and on what could not be measured."""
    pictures = len(result.pictures)
    said = [f"{pictures} defective test {'picture' if pictures == 1 else 'pictures'}, drawn by seed {result.seed}."]
    if result.threshold is not None:
        above = sum(picture.score > result.threshold for picture in result.pictures)
        below = sum(picture.reference_score <= result.threshold for picture in result.pictures)
        said.append(f"Pictures above the threshold: {above}; references that are not: {below}.")
    if result.lowered < pictures:
        said.append(
            f"Deletion and insertion are defined for the {result.lowered} that lose some of their score with all "
            "pixels replaced."
        )
    for method in result.methods:
        said += [
            f"{method.explainer} could not explain {count}: {reason}"
            for reason, count in Counter(method.refusals).items()
        ]
    checked = max((method.bank.correlation.pictures for method in result.methods if method.bank), default=0)
    said.append(f"A check, on {checked} of the pictures, is passed below {result.bar:g}.")
    if result.resamples:
        said.append(f"In brackets: {100 * result.confidence:g} % bootstrap intervals over pictures.")
    return said


def _measure(figure: Figure | None) -> FaithfulnessCell:
    if figure is None:
        return FaithfulnessCell(value=NOT_DEFINED)
    interval = figure.interval
    return FaithfulnessCell(
        value=f"{figure.mean:.2f}", below="" if interval is None else f"[{interval.low:.2f}, {interval.high:.2f}]"
    )


def _check(check: Check | None) -> FaithfulnessCell:
    if check is None:
        return FaithfulnessCell(value=NOT_DEFINED)
    word = "passes" if check.passed else "fails"
    return FaithfulnessCell(value=f"{check.correlation.mean:.2f}", below=word, failed=not check.passed)
