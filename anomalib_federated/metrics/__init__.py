"""Metrics of the AutoVI protocol.

The exact score and the defects need numpy only; :class:`AUSPRO` brings torch and anomalib and is imported when first
asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from anomalib_federated.metrics.defects import Defect, DefectsConfig, DefectType
from anomalib_federated.metrics.spro import FPR_LIMITS, SproAccumulator, auc_spro

if TYPE_CHECKING:
    from anomalib_federated.metrics.auspro import AUSPRO

__all__ = ["AUSPRO", "FPR_LIMITS", "Defect", "DefectType", "DefectsConfig", "SproAccumulator", "auc_spro"]


def __getattr__(name: str) -> object:
    if name == "AUSPRO":
        return import_module("anomalib_federated.metrics.auspro").AUSPRO
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
