"""AUC-sPRO as an anomalib metric, for an ``Evaluator`` or by hand.

Example:
    >>> from types import SimpleNamespace
    >>> import numpy as np, torch
    >>> from anomalib_federated.metrics import AUSPRO, Defect
    >>> mask = np.zeros((4, 4), dtype=bool)
    >>> mask[:2, :2] = True
    >>> anomaly_map = torch.zeros(2, 1, 4, 4)
    >>> anomaly_map[0, 0, :2, :2] = 1
    >>> batch = SimpleNamespace(anomaly_map=anomaly_map, defects=[[Defect(mask, 4)], []], native_size=[(4, 4), (4, 4)])
    >>> metric = AUSPRO(fpr_limit=0.05)
    >>> metric.update(batch)
    >>> metric.compute()
    tensor(1., dtype=torch.float64)
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from anomalib.metrics import AnomalibMetric
from torch import Tensor
from torch.nn import functional
from torchmetrics import Metric

from anomalib_federated.metrics.defects import Defect
from anomalib_federated.metrics.masked_scores import take_apart
from anomalib_federated.metrics.score_pool import ScorePool
from anomalib_federated.metrics.spro_curve import FPR_LIMITS, SproCurve, checked_fpr_limits

logger = logging.getLogger(__name__)


class _AUSPRO(Metric):
    """AUC-sPRO on tensors; :class:`AUSPRO` adds the reading of batches."""

    full_state_update = False
    higher_is_better = True
    is_differentiable = False

    normal_scores: list[Tensor] | Tensor
    channel_scores: list[Tensor] | Tensor
    saturation_areas: list[Tensor] | Tensor

    def __init__(self, fpr_limit: float = 0.05, **kwargs: Any) -> None:  # noqa: ANN401 - torchmetrics' own arguments
        (self.fpr_limit,) = checked_fpr_limits([fpr_limit])
        super().__init__(**kwargs)
        # The weight of a channel's scores follows from its area, so no state grows but the scores themselves.
        for state in ("normal_scores", "channel_scores", "saturation_areas"):
            self.add_state(state, default=[], dist_reduce_fx="cat")

    def update(
        self, anomaly_map: Tensor, defects: Sequence[Sequence[Defect]], native_size: Sequence[Sequence[int]]
    ) -> None:
        """Add a batch. If it raises, nothing was added; messages count the images of the batch from 0.

        Args:
            anomaly_map: Floating tensor of shape ``(B, H, W)`` or ``(B, 1, H, W)``, at any resolution. Each map is
                resized to its image's native size, bilinear with ``align_corners=False``.
            defects: The defects of each image, masks at its native size; empty for a good image.
            native_size: Height and width of each image as it was annotated, in pixels.

        Raises:
            TypeError: If the map is not a floating tensor or a defect is not a :class:`Defect`.
            ValueError: If shapes, lengths or sizes do not fit together or a score is not finite.
        """
        maps = _checked_maps(anomaly_map)
        if not len(maps) == len(defects) == len(native_size):
            msg = (
                f"a batch needs one of each per image, got {len(maps)} anomaly maps, {len(defects)} lists of defects "
                f"and {len(native_size)} native sizes"
            )
            raise ValueError(msg)
        images = [
            take_apart(_resized(image_map, size, index), image_defects, f"image {index}")
            for index, (image_map, image_defects, size) in enumerate(zip(maps, defects, native_size, strict=True))
        ]
        channels = [channel.scores for image in images for channel in image.channels]
        self._append("normal_scores", [image.normal for image in images])
        self._append("channel_scores", channels)
        self._append("saturation_areas", [np.array([len(scores) for scores in channels], dtype=np.int64)])

    def compute(self) -> Tensor:
        """AUC-sPRO at ``fpr_limit``.

        Returns:
            float64 scalar on the CPU, where it was computed.

        Raises:
            ValueError: If there was no image, no defect or no defect-free pixel.
        """
        return torch.tensor(self._areas([self.fpr_limit])[self.fpr_limit], dtype=torch.float64)

    def auc(self, fpr_limits: Iterable[float] = FPR_LIMITS) -> dict[float, float]:
        """AUC-sPRO at several limits from the same states, over all processes like ``compute``.

        Args:
            fpr_limits: Limits of the false positive rate, in (0, 1].

        Returns:
            AUC-sPRO per limit, divided by the limit.

        Raises:
            ValueError: If there was no image, no defect, no defect-free pixel or a limit is outside (0, 1].
        """
        sync = not self._is_synced
        with self.sync_context(dist_sync_fn=self.dist_sync_fn, should_sync=sync, should_unsync=sync):
            return self._areas(fpr_limits)

    def _append(self, state: str, arrays: list[npt.NDArray[Any]]) -> None:
        array = np.concatenate(arrays) if arrays else np.empty(0, dtype=np.float32)
        getattr(self, state).append(torch.from_numpy(array).to(self.device))

    def _areas(self, fpr_limits: Iterable[float]) -> dict[float, float]:
        limits = checked_fpr_limits(fpr_limits)
        normal = ScorePool()
        for scores in _arrays(self.normal_scores):
            normal.add(scores)
        areas = _joined(self.saturation_areas)
        channels = np.split(_joined(self.channel_scores), np.cumsum(areas))[:-1]
        curve = SproCurve.measured([normal], channels)
        return {limit: curve.auc(limit) for limit in limits}


class AUSPRO(AnomalibMetric, _AUSPRO):
    """AUC-sPRO of a data set, up to a limit of the false positive rate.

    Reads ``anomaly_map``, ``defects`` and ``native_size`` from a batch. The value is exact: see
    :mod:`anomalib_federated.metrics.spro`.

    Args:
        fpr_limit: Limit of the false positive rate, in (0, 1]. AutoVI reports 0.01, 0.05, 0.1, 0.3 and 1.0.
        fields: Names of the batch's fields, if not the three above.
        prefix: Prefix of the metric's name in the log.
        strict: Whether a batch without the fields, or a data set without a defect, is an error; else such a batch is
            skipped, and the value is NaN where there is no defect, with a warning.
        **kwargs: Arguments of ``torchmetrics.Metric``.

    Raises:
        ValueError: If ``fpr_limit`` is outside (0, 1].
    """

    default_fields = ("anomaly_map", "defects", "native_size")

    def __init__(
        self,
        fpr_limit: float = 0.05,
        *,
        fields: Sequence[str] | None = None,
        prefix: str = "",
        strict: bool = True,
        **kwargs: Any,  # noqa: ANN401 - torchmetrics' own arguments
    ) -> None:
        super().__init__(fields=fields, prefix=prefix, strict=strict, fpr_limit=fpr_limit, **kwargs)

    def compute(self) -> Tensor:
        """AUC-sPRO at ``fpr_limit``: float64 scalar on the CPU."""
        # Never updated is anomalib's case: it logs nothing.
        if not self.strict and self._update_count and not any(len(areas) for areas in _arrays(self.saturation_areas)):
            logger.warning("The test pictures hold no defect mask; AUC-sPRO is not defined.")
            return torch.tensor(float("nan"), dtype=torch.float64)
        return super().compute()


def _checked_maps(anomaly_map: Tensor) -> Tensor:
    if not isinstance(anomaly_map, Tensor) or not anomaly_map.is_floating_point():
        found = anomaly_map.dtype if isinstance(anomaly_map, Tensor) else type(anomaly_map).__name__
        msg = f"anomaly_map must be a floating tensor, got {found}"
        raise TypeError(msg)
    maps = anomaly_map.detach()
    if maps.ndim == 4 and maps.shape[1] == 1:
        maps = maps[:, 0]
    if maps.ndim != 3:
        msg = f"anomaly_map must have shape (B, H, W) or (B, 1, H, W), got {tuple(anomaly_map.shape)}"
        raise ValueError(msg)
    # Interpolating in half precision would round scores into ties.
    return maps if maps.dtype == torch.float64 else maps.float()


def _resized(image_map: Tensor, size: Sequence[int], index: int) -> npt.NDArray[np.floating[Any]]:
    sides = [float(side) for side in size]
    if len(sides) != 2 or not all(side >= 1 and side.is_integer() for side in sides):
        msg = f"image {index}: native_size must be (height, width) in whole pixels, got {sides}"
        raise ValueError(msg)
    height_width = (int(sides[0]), int(sides[1]))
    if tuple(image_map.shape) != height_width:
        resized = functional.interpolate(image_map[None, None], height_width, mode="bilinear", align_corners=False)
        image_map = resized[0, 0]
    return image_map.cpu().numpy()


def _arrays(state: list[Tensor] | Tensor) -> list[npt.NDArray[Any]]:
    parts = [state] if isinstance(state, Tensor) else state
    return [part.cpu().numpy() for part in parts]


def _joined(state: list[Tensor] | Tensor) -> npt.NDArray[Any]:
    return np.concatenate(_arrays(state) or [np.empty(0, dtype=np.int64)])
