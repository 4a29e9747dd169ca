"""Thresholds from normal validation images."""

from __future__ import annotations

from copy import deepcopy

from anomalib_federated.data.dataset import InspectionDataset
from anomalib_federated.evaluation.measuring.scored_image import scored_batches
from anomalib_federated.models import FederatedPatchcore, NormalQuantilePostProcessor


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
        ValueError: If the model's clip lies below a threshold.
    """
    post_processor = model.post_processor
    if not isinstance(post_processor, NormalQuantilePostProcessor):
        msg = f"The model's post-processor is a {type(post_processor).__name__}; calibration needs the default one."
        raise TypeError(msg)
    post_processor.forget()
    scores: dict[str, list[float]] = {}
    for batch in scored_batches(model, validation, batch_size=batch_size, description="calibrating"):
        post_processor.observe(batch)
        for category, score, label in zip(batch.category, batch.pred_score.tolist(), batch.gt_label, strict=True):
            if not label:
                scores.setdefault(category, []).append(score)
    post_processor.calibrate()
    model.check_clip()
    return scores


def calibrated_as_exported(model: FederatedPatchcore, validation: InspectionDataset) -> FederatedPatchcore:
    """A copy of a model that searches as its export does, with thresholds that are right for this.

    With many rows an export finds some distances a little too large, and the false-alarm rate of thresholds that were
    set without that would be a little higher than promised.

    Args:
        model: A model with a bank; left as it is.
        validation: Normal images that were not trained on.
    """
    exported = deepcopy(model)
    exported.search_as_exported()
    calibrate(exported, validation, batch_size=1)  # the likeness of a picture's tiles to all rows is large
    return exported
