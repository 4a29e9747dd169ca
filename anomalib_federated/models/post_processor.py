"""Thresholds and normalisation from normal validation pictures, per category.

anomalib's own post-processor needs defective validation pictures (its default takes them from the test set) and one
threshold for all. Here a threshold is a quantile of what normal pictures score, and a score ``s`` with threshold ``t``
becomes ``s / (s + t)``: 0 for no distance, 0.5 at the threshold, below 1 always. It needs no largest value and, unlike
clipping, keeps the order of scores.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from anomalib.data import Batch, InferenceBatch
from anomalib.post_processing import PostProcessor
from lightning import LightningModule, Trainer
from torch import Tensor

logger = logging.getLogger(__name__)

ROUNDING_MARGIN = 1e-4
"""Relative distance of a threshold above the normal score that sets it, so that rounding decides no verdict."""

SINGLE_CATEGORY = "default"
"""Category of pictures from a data set that has none."""


@dataclass(frozen=True)
class Thresholds:
    """Raw scores above which a picture, and a pixel, is anomalous."""

    image: float
    pixel: float


class NormalQuantilePostProcessor(PostProcessor):
    """Calibrates on normal validation pictures and normalises predictions.

    Args:
        false_alarm_rate: Share of normal pictures that may score above the threshold, in (0, 1). The pixel threshold is
            the one that this share of normal pictures exceeds anywhere.

    Attributes:
        thresholds: Per category; empty before calibration.
    """

    def __init__(self, *, false_alarm_rate: float = 0.05) -> None:
        if not 0 < false_alarm_rate < 1:
            msg = f"false_alarm_rate is {false_alarm_rate}; give a share between 0 and 1."
            raise ValueError(msg)
        super().__init__()
        self.false_alarm_rate = false_alarm_rate
        self.thresholds: dict[str, Thresholds] = {}
        self._normal_scores: dict[str, list[tuple[float, float]]] = {}

    def checkpoint_config(self) -> dict[str, Any]:
        """Plain data that a checkpoint keeps."""
        thresholds = {category: (value.image, value.pixel) for category, value in self.thresholds.items()}
        return {"false_alarm_rate": self.false_alarm_rate, "thresholds": thresholds}

    def load_checkpoint_config(self, config: dict[str, Any]) -> None:
        """Restore what :meth:`checkpoint_config` gave."""
        self.false_alarm_rate = config["false_alarm_rate"]
        self.thresholds = {category: Thresholds(*pair) for category, pair in config["thresholds"].items()}

    def forget(self) -> None:
        """Drop the thresholds and the scores noted so far."""
        self.thresholds, self._normal_scores = {}, {}

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start anew: an interrupted validation leaves nothing behind."""
        del trainer, pl_module
        self.forget()

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Batch, *args: object, **kwargs: object
    ) -> None:
        """Note what the normal pictures of the batch score."""
        del trainer, pl_module, args, kwargs
        self.observe(outputs)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Set the thresholds from all normal pictures seen."""
        del trainer, pl_module
        self.calibrate()

    def observe(self, batch: Batch) -> None:
        """Note the raw scores of the batch's normal pictures; defective ones are passed over."""
        peaks = batch.anomaly_map.flatten(1).amax(1).tolist()
        rows = zip(categories_of(batch), batch.pred_score.tolist(), peaks, _labels(batch), strict=True)
        for category, score, peak, anomalous in rows:
            if not anomalous:
                self._normal_scores.setdefault(category, []).append((score, peak))

    def calibrate(self) -> None:
        """Turn the scores noted into thresholds, and forget them."""
        for category, pairs in self._normal_scores.items():
            quantiles = torch.tensor(pairs, dtype=torch.float64).quantile(
                1 - self.false_alarm_rate, dim=0, interpolation="higher"
            )
            image, pixel = (quantiles * (1 + ROUNDING_MARGIN)).tolist()
            self.thresholds[category] = Thresholds(image, pixel)
            logger.info("%s: image threshold %.4g, pixel threshold %.4g from %d normal validation images",
                        category, image, pixel, len(pairs))  # fmt: skip
        self._normal_scores = {}

    def post_process_batch(self, batch: Batch) -> None:
        """Normalise scores and maps, and compare them with the threshold, in place.

        Raises:
            ValueError: If a category was not calibrated.
        """
        categories = categories_of(batch)
        image = torch.tensor([self._threshold(name).image for name in categories], device=batch.pred_score.device)
        pixel = torch.tensor([self._threshold(name).pixel for name in categories], device=batch.pred_score.device)
        shape = (-1, *[1] * (batch.anomaly_map.ndim - 1))
        batch.pred_score = normalise(batch.pred_score, image)
        batch.anomaly_map = normalise(batch.anomaly_map, pixel.reshape(shape))
        batch.pred_label = batch.pred_score > 0.5
        batch.pred_mask = batch.anomaly_map > 0.5

    def forward(self, predictions: InferenceBatch, category: str = SINGLE_CATEGORY) -> InferenceBatch:
        """Normalise predictions of one category."""
        threshold = self._threshold(category)
        score = normalise(predictions.pred_score, torch.tensor(threshold.image))
        anomaly_map = normalise(predictions.anomaly_map, torch.tensor(threshold.pixel))
        return InferenceBatch(
            pred_score=score, pred_label=score > 0.5, anomaly_map=anomaly_map, pred_mask=anomaly_map > 0.5
        )

    def _threshold(self, category: str) -> Thresholds:
        if category not in self.thresholds:
            msg = (
                f"Category '{category}' has no threshold; validate the model on normal pictures of it first "
                f"(calibrated: {', '.join(self.thresholds) or 'none'})."
            )
            raise ValueError(msg)
        return self.thresholds[category]


def normalise(values: Tensor, threshold: Tensor) -> Tensor:
    """``s / (s + t)``: 0.5 at the threshold, in the order of ``s``.

    Written with one ``s``, as ``1 - 1 / (1 + s / t)``, so that rounding cannot turn two scores around. (OpenVINO 2026.4
    computes ``1 - t / (s + t)`` wrongly where ``t`` is a constant.)

    Example:
        >>> import torch
        >>> normalise(torch.tensor([0.0, 2.0, 6.0]), torch.tensor(2.0))
        tensor([0.0000, 0.5000, 0.7500])
    """
    threshold = threshold.clamp_min(torch.finfo(torch.float32).tiny)
    return 1 - 1 / (1 + values / threshold)


def categories_of(batch: Batch) -> Sequence[str]:
    """The category of each picture of a batch; :data:`SINGLE_CATEGORY` if the data set has no categories."""
    return getattr(batch, "category", None) or [SINGLE_CATEGORY] * len(batch.image)


def _labels(batch: Batch) -> list[bool]:
    return [False] * len(batch.image) if batch.gt_label is None else batch.gt_label.bool().tolist()
