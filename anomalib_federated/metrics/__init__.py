"""Metrics of the AutoVI protocol.

All but :class:`AUSPRO` need numpy and scipy only; it brings torch and anomalib and is imported when first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from anomalib_federated.metrics.accumulator import SproAccumulator
from anomalib_federated.metrics.defects import Defect, DefectsConfig, DefectType
from anomalib_federated.metrics.operating_points import rates_at, threshold_at_tnr
from anomalib_federated.metrics.pixel_classification import PixelClassification, pixel_classification_of
from anomalib_federated.metrics.spro import auc_spro, auc_spro_of, curve_of
from anomalib_federated.metrics.spro_curve import FPR_LIMITS

if TYPE_CHECKING:
    from anomalib_federated.metrics.auspro import AUSPRO

__all__ = [
    "AUSPRO",
    "FPR_LIMITS",
    "Defect",
    "DefectType",
    "DefectsConfig",
    "PixelClassification",
    "SproAccumulator",
    "auc_spro",
    "auc_spro_of",
    "curve_of",
    "pixel_classification_of",
    "rates_at",
    "threshold_at_tnr",
]


def __getattr__(name: str) -> object:
    if name == "AUSPRO":
        return import_module("anomalib_federated.metrics.auspro").AUSPRO
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
