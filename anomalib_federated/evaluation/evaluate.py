"""Thresholds from normal validation pictures, and figures from test pictures."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from torch.nn.functional import interpolate

from anomalib_federated.data.batch import InspectionBatch
from anomalib_federated.data.batches import batches
from anomalib_federated.data.dataset import InspectionDataset
from anomalib_federated.metrics import FPR_LIMITS, SproAccumulator
from anomalib_federated.models import FederatedPatchcore, NormalQuantilePostProcessor
from anomalib_federated.progress import progress_bar

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Evaluation:
    """Figures of one detector on one category's test pictures; ``None`` where the test set does not define one.

    Attributes:
        image_auroc: Area under the ROC curve of the image scores, good against defective.
        average_precision: Area under their precision-recall curve.
        auspro: AUC-sPRO by limit of the false positive rate.
    """

    image_auroc: float | None
    average_precision: float | None
    auspro: dict[float, float] | None


def calibrate(model: FederatedPatchcore, validation: InspectionDataset, *, batch_size: int = 4) -> None:
    """Set the model's thresholds from normal pictures.

    Args:
        model: A model with a bank and a :class:`NormalQuantilePostProcessor`.
        validation: Normal pictures that were not trained on.
        batch_size: Pictures at a time.

    Raises:
        TypeError: If the model has another post-processor.
    """
    post_processor = model.post_processor
    if not isinstance(post_processor, NormalQuantilePostProcessor):
        msg = f"The model's post-processor is a {type(post_processor).__name__}; calibration needs the default one."
        raise TypeError(msg)
    post_processor.forget()
    for batch in _scored(model, validation, batch_size, "calibrating"):
        post_processor.observe(batch)
    post_processor.calibrate()


def evaluate(model: FederatedPatchcore, test: InspectionDataset, *, batch_size: int = 4) -> Evaluation:
    """Measure a detector on one category.

    AUC-sPRO is measured at the pictures' native size, to which the anomaly maps are brought.

    Args:
        model: A model with a bank.
        test: Test pictures of one category.
        batch_size: Pictures at a time.
    """
    if len(test) == 0:
        logger.warning("There are no test pictures; no figure is defined.")
        return Evaluation(image_auroc=None, average_precision=None, auspro=None)
    scores, labels, spro, channels = [], [], SproAccumulator(), 0
    for batch in _scored(model, test, batch_size, "testing"):
        scores.append(batch.pred_score)
        labels.append(batch.gt_label)
        if batch.defects is None:
            continue
        for anomaly_map, defects, size in zip(batch.anomaly_map, batch.defects, batch.native_size, strict=True):
            native = interpolate(anomaly_map.reshape(1, 1, *anomaly_map.shape[-2:]), size=size, mode="bilinear")
            spro.add(native[0, 0].numpy(), defects)
            channels += len(defects)
    score, label = torch.cat(scores), torch.cat(labels)
    both = 0 < int(label.sum()) < len(label)
    if not both:
        logger.warning("The test pictures are all good or all defective; image AUROC and AP are not defined.")
    return Evaluation(
        image_auroc=float(roc_auc_score(label, score)) if both else None,
        average_precision=float(average_precision_score(label, score)) if both else None,
        auspro=spro.auc(FPR_LIMITS) if channels else None,
    )


@torch.inference_mode()
def _scored(
    model: FederatedPatchcore, dataset: InspectionDataset, batch_size: int, description: str
) -> Iterator[InspectionBatch]:
    """Batches with raw scores and maps."""
    model.eval()
    with progress_bar(description, total=len(dataset)) as advance:
        for batch in batches(dataset, batch_size=batch_size):
            if model.pre_processor is not None:
                batch.image = model.pre_processor.transform(batch.image)
            yield model.validation_step(batch)
            advance(len(batch.image))
