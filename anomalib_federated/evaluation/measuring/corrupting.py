"""What is left of a detector's figures when light and camera change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from anomalib_federated.data import AutoVI
from anomalib_federated.data.corruption import Corruption
from anomalib_federated.evaluation.corrupted import AT_CLEAN, Corrupted, Level, write_corrupted
from anomalib_federated.evaluation.figures import HEADLINES, Figures
from anomalib_federated.evaluation.measuring.measure import measure
from anomalib_federated.evaluation.measuring.scored_image import scored_images
from anomalib_federated.metrics import rates_at, threshold_at_tnr
from anomalib_federated.models import FederatedPatchcore

CLEAN_TNR = 0.95
CONFIDENCE = 0.95


def score_corrupted(
    model: FederatedPatchcore,
    data: AutoVI,
    category: str,
    *,
    corruptions: Sequence[Corruption],
    clean_scores: Sequence[float],
    method: str,
    output: Path,
    resamples: int = 1000,
    seed: int = 0,
) -> Corrupted:
    """Measure a detector on corrupted pictures of a category, and write ``corruption.json``.

    The normal validation pictures are corrupted alike, since a station that works in such light is calibrated in it;
    the two figures of :data:`~anomalib_federated.evaluation.corrupted.AT_CLEAN` tell what happens if it was not.

    Args:
        model: A detector with a bank; its thresholds are left as they are.
        data: The data set, set up.
        category: Name of the category.
        corruptions: Each is measured once, whatever its seed.
        clean_scores: Of the clean validation pictures, by the same detector.
        method: Name of the method.
        output: Folder of the run.
        resamples: Of the bootstrap behind the intervals.
        seed: Of the run.

    Raises:
        ValueError: If the data set's own test pictures are corrupted already.
    """
    refuse_corrupted(data)
    clean = threshold_at_tnr(clean_scores, CLEAN_TNR) if clean_scores else None
    levels = []
    for name, corruption in {corruption.words: corruption for corruption in corruptions}.items():
        figures = _figures(model, data, category, corruption, resamples=resamples, seed=seed)
        told = {name: figures.headline(name) for name in HEADLINES} | _at_clean(figures, clean)
        levels.append(Level(name=name, corruption=asdict(corruption), figures=told, intervals=figures.intervals))
    corrupted = Corrupted(
        method=method,
        category=category,
        seed=seed,
        levels=tuple(levels),
        confidence=CONFIDENCE,
        resamples=resamples,
    )
    write_corrupted(output, corrupted)
    return corrupted


def refuse_corrupted(data: AutoVI) -> None:
    """Refuse a data set with a corruption of its own, beside which there would be nothing clean.

    Raises:
        ValueError: If it has one.
    """
    if data.test_corruption is not None:
        msg = (
            f"The data set's test_corruption ({data.test_corruption.words}) leaves no clean pictures to compare with; "
            "leave it out where corruptions are measured."
        )
        raise ValueError(msg)


def _figures(
    model: FederatedPatchcore, data: AutoVI, category: str, corruption: Corruption, *, resamples: int, seed: int
) -> Figures:
    validation, test = (
        scored_images(model, pictures.of_category(category).corrupted(corruption), batch_size=data.eval_batch_size)
        for pictures in (data.val_data, data.test_data)
    )
    return measure(
        test,
        validation_scores=[image.score for image in validation if image.good],
        resamples=resamples,
        confidence=CONFIDENCE,
        seed=seed,
    )


def _at_clean(figures: Figures, threshold: float | None) -> dict[str, float | None]:
    if threshold is None:
        return dict.fromkeys(AT_CLEAN)
    good = [image.score for image in figures.images if image.good]
    defective = [image.score for image in figures.images if not image.good]
    return dict(zip(AT_CLEAN, rates_at(threshold, good=good, defective=defective), strict=True))
