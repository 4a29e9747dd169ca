"""What a bank's file holds: tensors, and meta data in JSON; and a bank's fields out of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from anomalib_federated.bank.contribution import Contribution
from anomalib_federated.bank.feature_space import FeatureSpace
from anomalib_federated.bank.file import Declared
from anomalib_federated.bank.promises import privacy_as_json, privacy_from_json
from anomalib_federated.bank.quantised import as_quantised, restore
from anomalib_federated.bank.validation import MAX_NAMES
from anomalib_federated.untrusted import said, shown

if TYPE_CHECKING:
    from anomalib_federated.bank.memory_bank import MemoryBank

FORMAT = 3
ROW_TENSORS = ("features", "row_category", "row_site", "weights")
SCALES = "scales"
"""Beside features in int8, the float32 by which each row is multiplied."""
PLACES = "row_place"
ROW_GROUP, GROUPS = "row_group", "groups"
"""A tensor and a list of names; both only in a bank that has them, so that others are written as ever."""
PROJECTION = "projection.{}"
"""Name of a category's projection, by the number of the category; both only in a bank that has them."""
STORED_DTYPES = ("F16", "F32", "I8")
"""Safetensors' names of the types in which features are stored."""
LISTS, MAPPINGS = ("categories", "sites", "contributions", "privacy"), ("space", "coresets", "covering_radius")
"""Fields of the meta data, by their kind in JSON."""
COSTS = ("seconds", "passes")
"""Fields of a contribution in which equal runs differ; in tensors, so that equal runs write equally many bytes."""


def tensors_of(bank: MemoryBank) -> dict[str, Tensor]:
    """The tensors that equal runs have in common, by name."""
    tensors = {name: getattr(bank, name) for name in ROW_TENSORS}
    if bank.row_place is not None:
        tensors[PLACES] = bank.row_place
    if bank.row_group is not None:
        tensors[ROW_GROUP] = bank.row_group
    for number, category in enumerate(bank.categories):
        if category in bank.projections:
            tensors[PROJECTION.format(number)] = bank.projections[category]
    return tensors


def stored_of(bank: MemoryBank) -> dict[str, Tensor]:
    """The same tensors as they are stored and sent: rows that int8 and a scale give exactly are such."""
    tensors = tensors_of(bank)
    if (found := as_quantised(bank.features)) is not None:
        tensors["features"], tensors[SCALES] = found
    return tensors


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
        "privacy": privacy_as_json(bank),
        **({GROUPS: bank.groups} if bank.groups else {}),
    }


def check_declared(declared: Mapping[str, Declared], meta: Mapping[str, Any], *, max_rows: int | None) -> None:
    """Refuse what cannot be a bank, before any of its tensors is read.

    Args:
        declared: The tensors, as the header declares them; not trusted.
        meta: The meta data; not trusted.
        max_rows: Refuse more rows; ``None`` leaves it to the limit on bytes.

    Raises:
        KeyError: If a field of the meta data is missing.
        ValueError: If the format is another one, there are too many rows, or tensors or lists are not those of a bank.
    """
    if meta.get("format") != FORMAT:
        msg = f"its format is {shown(meta.get('format'))}, this version reads format {FORMAT}"
        raise ValueError(msg)
    if not all(isinstance(meta[name], list) for name in (*LISTS, *{GROUPS} & set(meta))):
        msg = f"its {', '.join(LISTS)} are not lists"
        raise ValueError(msg)
    if not all(isinstance(meta[name], dict) for name in MAPPINGS):
        msg = f"its {', '.join(MAPPINGS)} are not mappings"
        raise ValueError(msg)
    features = declared.get("features", Declared("missing", ()))
    if len(features.shape) != 2 or features.dtype not in STORED_DTYPES:
        msg = f"its features are {said(str(features))}, not (n, d) {' or '.join(STORED_DTYPES)}"
        raise ValueError(msg)
    rows = features.shape[0]
    if rows == 0 or (max_rows is not None and rows > max_rows):
        msg = f"it holds {rows} rows, but at most {max_rows} were agreed" if rows else "it has no row"
        raise ValueError(msg)
    wanted = _beside(features, contributions=len(meta["contributions"]))
    wanted |= _own_distances(declared, features, categories=len(meta["categories"]))
    wanted |= {ROW_GROUP: Declared("I32", (rows,))} if GROUPS in meta else {}
    if unequal := sorted(set(wanted) ^ (set(declared) - {"features"})):
        msg = f"its tensors and those of a bank differ in {shown(unequal)}"
        raise ValueError(msg)
    for name, each in wanted.items():
        if declared[name] != each:
            msg = f"its {name} are {said(str(declared[name]))}, but must be {each}"
            raise ValueError(msg)


def _beside(features: Declared, *, contributions: int) -> dict[str, Declared]:
    """The tensors of a bank beside such features."""
    rows = features.shape[:1]
    return {
        "row_category": Declared("I32", rows),
        "row_site": Declared("I32", rows),
        "weights": Declared("F32", rows),
        **({SCALES: Declared("F32", rows)} if features.dtype == "I8" else {}),
        **{name: Declared("F64", (contributions,)) for name in COSTS},
    }


def _own_distances(declared: Mapping[str, Declared], features: Declared, *, categories: int) -> dict[str, Declared]:
    """Places and projections as they must be, of those that are declared."""
    rows, dim = features.shape
    wanted = {PLACES: Declared("F32", (rows, 2))} if PLACES in declared else {}
    for name in {PROJECTION.format(number) for number in range(min(categories, MAX_NAMES["categories"]))} & set(
        declared
    ):
        width = declared[name].shape[-1] if declared[name].shape else dim
        wanted[name] = Declared("F32", (dim, max(1, min(width, dim))))
    return wanted


def fields_of(tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a ``MemoryBank``, which checks their values.

    Args:
        tensors: As :func:`check_declared` demands them.
        meta: As :func:`check_declared` demands it.

    Raises:
        ValueError: If a value is impossible.
        TypeError: If a field is unknown, missing or of an impossible type.
    """
    seconds, passes = (tensors[name].tolist() for name in COSTS)
    rows = {name: tensors[name] for name in ROW_TENSORS}
    if SCALES in tensors:
        rows["features"] = restore(tensors["features"], tensors[SCALES])
    return rows | {
        "categories": tuple(meta["categories"]),
        "sites": tuple(meta["sites"]),
        "space": FeatureSpace.from_dict(meta["space"]),
        "contributions": tuple(
            Contribution(**item, seconds=taken, passes=int(times))
            for item, taken, times in zip(meta["contributions"], seconds, passes, strict=True)
        ),
        "coresets": meta["coresets"],
        "covering_radius": meta["covering_radius"],
        "privacy": privacy_from_json(meta["privacy"]),
        "row_place": tensors.get(PLACES),
        "projections": {
            category: tensors[PROJECTION.format(number)]
            for number, category in enumerate(meta["categories"])
            if PROJECTION.format(number) in tensors
        },
        "row_group": tensors.get(ROW_GROUP),
        "groups": tuple(meta.get(GROUPS, ())),
    }
