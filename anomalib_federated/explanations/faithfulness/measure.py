"""All measures of the explanations of one picture, method by method."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from anomalib_federated.explanations.faithfulness.deletion_insertion import STEPS, deletion_insertion
from anomalib_federated.explanations.faithfulness.mask_overlap import mask_overlap
from anomalib_federated.explanations.faithfulness.pointing import pointing
from anomalib_federated.explanations.faithfulness.rank_correlation import rank_correlation
from anomalib_federated.explanations.faithfulness.relevance import checked_relevance
from anomalib_federated.interfaces.explainer import Case, Explainer


@dataclass(frozen=True, eq=False, kw_only=True)
class Trial:
    """A picture on which explainers are tried.

    Attributes:
        case: The picture and its detector.
        reference: Shape ``(3, h, w)``, normalised like the case's image: what deleted pixels are replaced by.
        reference_score: Of the reference by itself.
        remaining: What is left of the picture's score with all pixels replaced.
        mask: Shape ``(h, w)``, bool: where the picture is defective; ``None`` if that was not annotated.
        random_bank: The same picture with a detector whose bank is random; ``None`` leaves the check out.
        random_backbone: The same picture with a detector whose network is; likewise.
    """

    case: Case
    reference: Tensor
    reference_score: float
    remaining: float
    mask: Tensor | None
    random_bank: Case | None
    random_backbone: Case | None


@dataclass(frozen=True, kw_only=True)
class Faithfulness:
    """What the explanation of one picture by one method is worth.

    Attributes:
        deletion: Area under the deletion curve, see
            :mod:`anomalib_federated.explanations.faithfulness.deletion_insertion`: the lower, the better; ``None`` if
            all of the score is left with all pixels replaced.
        insertion: Area under the insertion curve: the higher, the better; likewise.
        pointing: Share of the most relevant pixels that lie on the defect; ``None`` without a mask.
        overlap: Intersection over union with the defect; ``None`` without a mask.
        bank: Rank correlation with the explanation of a detector whose bank is random; ``None`` if not checked.
        backbone: Likewise, whose network is random.
        seconds: That the explanation took.
    """

    deletion: float | None
    insertion: float | None
    pointing: float | None
    overlap: float | None
    bank: float | None
    backbone: float | None
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A picture that a method could not explain, and why."""

    reason: str


def measure_picture(
    trial: Trial, explainers: Mapping[str, Explainer], *, seed: int, steps: int = STEPS
) -> dict[str, Faithfulness | Refusal]:
    """Explain a picture by every method, and measure the explanations.

    Args:
        trial: The picture.
        explainers: By name.
        seed: Of the explanations.
        steps: Of deletion and insertion.

    Returns:
        By the names of the explainers, in their order.

    Raises:
        RelevanceError: If an explanation is no usable map; the error names the method and the picture.
    """
    return {name: _measured(trial, explainer, name, seed, steps) for name, explainer in explainers.items()}


def _measured(trial: Trial, explainer: Explainer, name: str, seed: int, steps: int) -> Faithfulness | Refusal:
    case, began = trial.case, time.perf_counter()
    try:
        explanation = explainer.explain(case, seed=seed)
        seconds = time.perf_counter() - began
        random = [
            None if other is None else explainer.explain(other, seed=seed)
            for other in (trial.random_bank, trial.random_backbone)
        ]
    except ValueError as error:
        return Refusal(reason=str(error))
    size, label = (case.image.shape[1], case.image.shape[2]), f"the explanation of {case.name} by '{name}'"
    relevance = checked_relevance(explanation.relevance, size, of=label)
    curves = deletion_insertion(case, relevance, reference=trial.reference, steps=steps)
    bank, backbone = (
        None if each is None else rank_correlation(relevance, checked_relevance(each.relevance, size, of=label))
        for each in random
    )
    return Faithfulness(
        deletion=curves.deletion_area,
        insertion=curves.insertion_area,
        pointing=None if trial.mask is None else pointing(relevance, trial.mask),
        overlap=None if trial.mask is None else mask_overlap(relevance, trial.mask),
        bank=bank,
        backbone=backbone,
        seconds=seconds,
    )
