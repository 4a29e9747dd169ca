"""Thresholds from normal validation images."""

from __future__ import annotations

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
    return scores
