"""How faithful the explanations of a detector are: every explainer on the same defective test pictures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from anomalib_federated.data import AutoVI
from anomalib_federated.evaluation.faithfulness.figures import FaithfulnessResult, TriedPicture
from anomalib_federated.evaluation.faithfulness.summary import method_faithfulness
from anomalib_federated.evaluation.measuring.bootstrap import check_settings
from anomalib_federated.explanations.faithfulness.deletion_insertion import STEPS
from anomalib_federated.explanations.faithfulness.measure import Faithfulness, Refusal, measure_picture
from anomalib_federated.explanations.faithfulness.pointing import TOLERANCE
from anomalib_federated.explanations.faithfulness.reference_picture import NormalReferences
from anomalib_federated.explanations.faithfulness.sanity import BAR
from anomalib_federated.explanations.faithfulness.trials import drawn_defects, trials
from anomalib_federated.interfaces.explainer import Explainer
from anomalib_federated.models import FederatedPatchcore
from anomalib_federated.progress import progress_bar


def measure_faithfulness(
    model: FederatedPatchcore,
    data: AutoVI,
    category: str,
    *,
    explainers: Mapping[str, Explainer],
    pictures: int = 16,
    checked: int = 8,
    seed: int = 0,
    steps: int = STEPS,
    resamples: int = 1000,
    confidence: float = 0.95,
    settings: Mapping[str, Any] | None = None,
) -> FaithfulnessResult:
    """Explain some defective test pictures by every method, and measure the explanations.

    Args:
        model: The detector.
        data: The data set, set up.
        category: One of the bank's, and of the data's.
        explainers: By name, at least one.
        pictures: How many are drawn; all if there are fewer.
        checked: On how many of them the sanity checks are made, each of which takes two more explanations; at least 1.
        seed: Decides which, and all else that is random.
        steps: Of deletion and insertion.
        resamples: Of the bootstrap behind the intervals; 0 makes none.
        confidence: Of the intervals.
        settings: What else is to be told, as plain data.

    Raises:
        BankError: If the bank lacks the category.
        RelevanceError: If an explanation is no usable map.
        ValueError: If there is no explainer or no defective picture, or a number makes no sense.
    """
    check_settings(resamples=resamples, confidence=confidence)
    if not explainers or checked < 1:
        msg = f"There are {len(explainers)} explainers and {checked} pictures to check them on; give at least one each."
        raise ValueError(msg)
    positions = drawn_defects(data.test_data, category, pictures=pictures, seed=seed)
    normal = data.train_data.of_category(category).samples["image_path"]
    references = NormalReferences(model, [Path(path) for path in normal], seed=seed)
    measured: dict[str, list[Faithfulness | Refusal]] = {name: [] for name in explainers}
    tried, threshold = [], None
    with progress_bar(f"explanations of {category}, measured", total=len(positions)) as advance:
        for trial in trials(model, data.test_data, positions, references=references, checked=checked, seed=seed):
            threshold = trial.case.threshold
            tried.append(
                TriedPicture(
                    name=trial.case.name,
                    score=trial.case.score,
                    reference_score=trial.reference_score,
                    remaining=trial.remaining,
                )
            )
            for name, found in measure_picture(trial, explainers, seed=seed, steps=steps).items():
                measured[name].append(found)
            advance(1)
    return FaithfulnessResult(
        category=category,
        seed=seed,
        pictures=tuple(tried),
        methods=tuple(
            method_faithfulness(name, found, resamples=resamples, confidence=confidence, seed=seed)
            for name, found in measured.items()
        ),
        threshold=threshold,
        bar=BAR,
        tolerance=TOLERANCE,
        steps=steps,
        confidence=confidence,
        resamples=resamples,
        settings=dict(settings or {}),
    )
