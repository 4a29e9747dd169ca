"""What a bank's file holds: tensors, and meta data in JSON; and a bank's fields out of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from anomalib_federated.bank.contribution import Contribution
from anomalib_federated.bank.feature_space import FeatureSpace

if TYPE_CHECKING:
    from anomalib_federated.bank.memory_bank import MemoryBank

FORMAT = 2
ROW_TENSORS = ("features", "row_category", "row_site", "weights")
COSTS = ("seconds", "passes")
"""Fields of a contribution in which equal runs differ; in tensors, so that equal runs write equally many bytes."""


def tensors_of(bank: MemoryBank) -> dict[str, Tensor]:
    """The tensors that equal runs have in common, by name."""
    return {name: getattr(bank, name) for name in ROW_TENSORS}


def costs_of(bank: MemoryBank) -> dict[str, Tensor]:
    """The tensors in which equal runs differ, by name: a float64 per contribution."""
    return {
        name: torch.tensor([getattr(item, name) for item in bank.contributions], dtype=torch.float64) for name in COSTS
    }


def meta_of(bank: MemoryBank) -> dict[str, Any]:
    """Everything that is no tensor, as JSON values."""
    return {
        "format": FORMAT,
        "categories": bank.categories,
        "sites": bank.sites,
        "space": asdict(bank.space),
        "contributions": [
            {name: value for name, value in asdict(item).items() if name not in COSTS} for item in bank.contributions
        ],
        "coresets": bank.coresets,
        "covering_radius": bank.covering_radius,
    }


def fields_of(tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a ``MemoryBank``, which checks their values.

    Raises:
        KeyError: If a field of the meta data is missing.
        ValueError: If the format is another one, or tensors or lists are not those of a bank.
        TypeError: If a field of the meta data is unknown or of an impossible type.
    """
    if meta.get("format") != FORMAT:
        msg = f"its format is {meta.get('format')!r}, this version reads format {FORMAT}"
        raise ValueError(msg)
    if set(tensors) != {*ROW_TENSORS, *COSTS}:
        msg = f"it holds the tensors {sorted(tensors)} instead of {sorted({*ROW_TENSORS, *COSTS})}"
        raise ValueError(msg)
    if not all(isinstance(meta[name], list) for name in ("categories", "sites", "contributions")):
        msg = "its categories, sites and contributions are not lists"
        raise ValueError(msg)
    for name in COSTS:
        if tensors[name].dtype != torch.float64 or tensors[name].shape != (len(meta["contributions"]),):
            msg = f"its {name} are {tuple(tensors[name].shape)} {tensors[name].dtype}, not one float64 per contribution"
            raise ValueError(msg)
    seconds, passes = (tensors[name].tolist() for name in COSTS)
    return {name: tensors[name] for name in ROW_TENSORS} | {
        "categories": tuple(meta["categories"]),
        "sites": tuple(meta["sites"]),
        "space": FeatureSpace.from_dict(meta["space"]),
        "contributions": tuple(
            Contribution(**item, seconds=taken, passes=int(times))
            for item, taken, times in zip(meta["contributions"], seconds, passes, strict=True)
        ),
        "coresets": dict(meta["coresets"]),
        "covering_radius": {str(key): float(value) for key, value in meta["covering_radius"].items()},
    }
