"""Thresholds and normalisation from normal validation pictures, per category.

anomalib's own post-processor needs defective validation pictures (its default takes them from the test set) and one
threshold for all. Here a threshold is one of the highest scores of normal pictures, chosen as
:mod:`anomalib_federated.false_alarms` tells, and a score ``s`` with threshold ``t`` becomes ``s / (s + t)``: 0 for no
distance, 0.5 at the threshold, below 1 always. It needs no largest value and, unlike clipping, keeps the order of
scores.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any

import torch
from anomalib.data import Batch, InferenceBatch
from anomalib.post_processing import PostProcessor
from lightning import LightningModule, Trainer
from torch import Tensor

from anomalib_federated.false_alarms import OPERATING_POINTS, FalseAlarms, expecting, pictures_expected

logger = logging.getLogger(__name__)

ROUNDING_MARGIN = 1e-4
"""Relative distance of a threshold above the normal score that sets it, so that rounding decides no verdict."""

SINGLE_CATEGORY = "default"
"""Category of pictures from a data set that has none."""


@dataclass(frozen=True)
class Thresholds:
    """Raw scores above which a picture, and a pixel, is anomalous.

    Attributes:
        image: Of a picture's score.
        pixel: Of a pixel of the map.
        promise: From how many normal pictures they are and what follows; None if they come from elsewhere.
    """

    image: float
    pixel: float
    promise: FalseAlarms | None = None


class NormalQuantilePostProcessor(PostProcessor):
    """Calibrates on normal validation pictures and normalises predictions.

    Args:
        false_alarm_rate: Expected share of normal pictures that score above the threshold, in (0, 1). The pixel
            threshold is the one that this share of normal pictures exceeds anywhere. Too few pictures for it give the
            highest score of them, and a warning.

    Attributes:
        thresholds: Per category; empty before calibration.
        operating_points: Per category, thresholds by false-alarm rate: of 0.01, 0.05 and 0.1 those for which there were
            pictures enough.
    """

    def __init__(self, *, false_alarm_rate: float = 0.05) -> None:
        if not 0 < false_alarm_rate < 1:
            msg = f"false_alarm_rate is {false_alarm_rate}; give a share between 0 and 1."
            raise ValueError(msg)
        super().__init__()
        self.false_alarm_rate = false_alarm_rate
        self.thresholds: dict[str, Thresholds] = {}
        self.operating_points: dict[str, dict[float, Thresholds]] = {}
        self._normal_scores: dict[str, list[tuple[float, float]]] = {}

    def checkpoint_config(self) -> dict[str, Any]:
        """Plain data that a checkpoint keeps."""
        return {
            "false_alarm_rate": self.false_alarm_rate,
            "thresholds": {category: _plain(value) for category, value in self.thresholds.items()},
            "operating_points": {
                category: {rate: _plain(value) for rate, value in points.items()}
                for category, points in self.operating_points.items()
            },
        }

    def load_checkpoint_config(self, config: dict[str, Any]) -> None:
        """Restore what :meth:`checkpoint_config` gave, now or before it knew operating points."""
        self.false_alarm_rate = config["false_alarm_rate"]
        self.thresholds = {category: _from_plain(value) for category, value in config["thresholds"].items()}
        self.operating_points = {
            category: {rate: _from_plain(value) for rate, value in points.items()}
            for category, points in config.get("operating_points", {}).items()
        }

    def description(self, category: str) -> dict[str, Any]:
        """What the manifest of an export tells of a category's thresholds, as plain data for JSON.

        Raises:
            ValueError: If the category was not calibrated.
        """
        found = self._threshold(category)
        points = self.operating_points.get(category, {})
        return {
            **_described(found),
            "threshold_source": {"false_alarm_rate": self.false_alarm_rate, **_source(found.promise)},
            "operating_points": {
                f"{rate:g}": _described(point) | _source(point.promise) for rate, point in points.items()
            },
        }

    def adopt(self, category: str, described: Mapping[str, Any]) -> None:
        """Take over thresholds that :meth:`description` told of, such as those in the manifest of a bundle.

        Raises:
            ValueError: If it was not that method that told of them.
        """
        try:
            source, points = described["threshold_source"], described.get("operating_points", {})
            thresholds = _adopted(described, source)
            operating_points = {float(rate): _adopted(point, point) for rate, point in points.items()}
            self.false_alarm_rate = float(source.get("false_alarm_rate", self.false_alarm_rate))
        except (AttributeError, LookupError, TypeError) as error:
            msg = f"The thresholds of category '{category}' are told in a form that is not known: export them again."
            raise ValueError(msg) from error
        self.thresholds[category], self.operating_points[category] = thresholds, operating_points

    def forget(self) -> None:
        """Drop the thresholds and the scores noted so far."""
        self.thresholds, self.operating_points, self._normal_scores = {}, {}, {}

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
            wished = expecting(len(pairs), self.false_alarm_rate)
            self.thresholds[category] = found = _thresholds(pairs, wished)
            points = {rate: expecting(len(pairs), rate) for rate in OPERATING_POINTS}
            self.operating_points[category] = {
                rate: _thresholds(pairs, promise) for rate, promise in points.items() if promise.keeps(rate)
            }
            logger.info("%s: image threshold %.4g, pixel threshold %.4g from %d normal validation images; expected "
                        "false-alarm rate %.3g, at most %.3g with confidence %.3g", category, found.image, found.pixel,
                        len(pairs), wished.expected_rate, wished.upper_bound, wished.confidence)  # fmt: skip
            if not wished.keeps(self.false_alarm_rate):
                logger.warning("%s: %d normal validation images are too few for a false-alarm rate of %.3g: the "
                               "threshold is their highest score, and %.3g is expected; it takes %d images.",
                               category, len(pairs), self.false_alarm_rate, wished.expected_rate,
                               pictures_expected(self.false_alarm_rate))  # fmt: skip
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


def _thresholds(pairs: Sequence[tuple[float, float]], promise: FalseAlarms) -> Thresholds:
    image, pixel = (promise.threshold(values) * (1 + ROUNDING_MARGIN) for values in zip(*pairs, strict=True))
    return Thresholds(image, pixel, promise)


def _described(thresholds: Thresholds) -> dict[str, Any]:
    return {"image_threshold": thresholds.image, "pixel_threshold": thresholds.pixel}


def _source(promise: FalseAlarms | None) -> dict[str, Any]:
    if promise is None:
        return {"from": "elsewhere"}
    return {
        "from": "validation",
        "pictures": promise.pictures,
        "rank": promise.rank,
        "expected_rate": promise.expected_rate,
        "confidence": promise.confidence,
        "upper_bound": promise.upper_bound,
    }


def _adopted(described: Mapping[str, Any], source: Mapping[str, Any]) -> Thresholds:
    promise = None
    if "rank" in source:
        promise = FalseAlarms(source["pictures"], source["rank"], source["confidence"])
    return Thresholds(float(described["image_threshold"]), float(described["pixel_threshold"]), promise)


def _plain(value: Thresholds) -> tuple[float | int, ...]:
    return (value.image, value.pixel, *(() if value.promise is None else astuple(value.promise)))


def _from_plain(value: Sequence[Any]) -> Thresholds:
    image, pixel, *promise = value
    return Thresholds(image, pixel, FalseAlarms(*promise) if promise else None)


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
