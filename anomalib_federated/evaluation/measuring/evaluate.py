"""Thresholds from normal validation images, and figures from test images."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from anomalib_federated.data import AutoVI
from anomalib_federated.data.dataset import InspectionDataset
from anomalib_federated.evaluation.figures import Figures
from anomalib_federated.evaluation.measuring.measure import measure
from anomalib_federated.evaluation.measuring.scored_image import ScoredImage, scored_batches, scored_images
from anomalib_federated.models import FederatedPatchcore, NormalQuantilePostProcessor

logger = logging.getLogger(__name__)


def calibrate(
    model: FederatedPatchcore, validation: InspectionDataset, *, batch_size: int = 4
) -> dict[str, list[float]]:
    """Set the model's thresholds from normal images.

    Args:
        model: A model with a bank and a :class:`NormalQuantilePostProcessor`, which forgets what it had.
        validation: Normal images that were not trained on.
        batch_size: Images at a time.

    Returns:
        Raw image scores of the normal images, by category.

    Raises:
        TypeError: If the model has another post-processor.
    """
    _post_processor_of(model).forget()
    return _observe(model, validation, batch_size)


def evaluate(
    model: FederatedPatchcore,
    datamodule: AutoVI,
    category: str,
    *,
    resamples: int = 1000,
    seed: int = 0,
    batch_size: int | None = None,
    keep: Callable[[ScoredImage], None] | None = None,
) -> Figures:
    """Measure a detector on one category, with thresholds from its normal validation images.

    Sets the model's thresholds for this category; those of others stay.

    Args:
        model: A model with a bank and a :class:`NormalQuantilePostProcessor`.
        datamodule: The data set, set up.
        category: Name of the category.
        resamples: Of the bootstrap behind the intervals; 0 makes none.
        seed: Decides the resamples.
        batch_size: Images at a time; ``None`` takes the datamodule's for evaluation.
        keep: Called with every test image and its map as it comes.

    Raises:
        TypeError: If the model has another post-processor.
    """
    _post_processor_of(model)
    size = batch_size or datamodule.eval_batch_size
    scores = _observe(model, datamodule.val_data.of_category(category), size).get(category, [])
    scored = scored_images(model, datamodule.test_data.of_category(category), batch_size=size)
    return measure(
        scored if keep is None else shown(scored, keep), validation_scores=scores, resamples=resamples, seed=seed
    )


def shown(scored: Iterator[ScoredImage], *keep: Callable[[ScoredImage], object]) -> Iterator[ScoredImage]:
    """The images as they come, each shown to all of ``keep`` first."""
    for image in scored:
        for look in keep:
            look(image)
        yield image


def _observe(model: FederatedPatchcore, validation: InspectionDataset, batch_size: int) -> dict[str, list[float]]:
    """Score normal images and set the thresholds of their categories."""
    post_processor = _post_processor_of(model)
    scores: dict[str, list[float]] = {}
    for batch in scored_batches(model, validation, batch_size=batch_size, description="calibrating"):
        post_processor.observe(batch)
        for category, score, label in zip(batch.category, batch.pred_score.tolist(), batch.gt_label, strict=True):
            if not label:
                scores.setdefault(category, []).append(score)
    post_processor.calibrate()
    return scores


def _post_processor_of(model: FederatedPatchcore) -> NormalQuantilePostProcessor:
    if not isinstance(model.post_processor, NormalQuantilePostProcessor):
        msg = (
            f"The model's post-processor is a {type(model.post_processor).__name__}; calibration needs the default one."
        )
        raise TypeError(msg)
    return model.post_processor
