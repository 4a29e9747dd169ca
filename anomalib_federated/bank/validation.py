"""What makes a memory bank valid: the checks that run whenever one is constructed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NoReturn

import torch
from torch import Tensor

FEATURE_DTYPES = (torch.float32, torch.float16)
MAX_FEATURE = 1e15
"""Larger features could overflow when they are squared and summed in float32."""
MAX_NAME_LENGTH = 200


class BankError(ValueError):
    """A memory bank is malformed, or two banks do not fit together."""


def refuse(problem: str) -> NoReturn:
    """Raise a :class:`BankError` with the problem as its sentence."""
    msg = f"Memory bank refused: {problem}."
    raise BankError(msg)


def check_name(field: str, name: object) -> None:
    """Refuse anything but a short printable name."""
    if not isinstance(name, str) or not name.strip() or not name.isprintable() or len(name) > MAX_NAME_LENGTH:
        refuse(f"{field} must be a printable name of 1 to {MAX_NAME_LENGTH} characters, got {str(name)[:50]!r}")
    # Results are written to folders of these names.
    if name.startswith(".") or set(name) & set("/\\:"):
        refuse(f"{field} must be usable as the name of a folder, got {name[:50]!r}")


def check_names(field: str, names: Sequence[str]) -> None:
    """Refuse an empty list of names, or one that repeats."""
    for name in names:
        check_name(field, name)
    if not names or len(set(names)) != len(names):
        refuse(f"{field} must be distinct and at least one, got {list(names)}")


def check_methods(methods: Mapping[str, str]) -> None:
    """Refuse names of coreset methods that cannot be printed; those of merged banks may be long."""
    for category, method in methods.items():
        if not isinstance(method, str) or not method.strip() or not method.isprintable():
            refuse(f"the coreset of category {category!r} must be a printable name, got {str(method)[:50]!r}")


def check_features(features: Tensor, dim: int) -> None:
    """Refuse features that are not (n, dim) float32 or float16, or not finite."""
    if features.ndim != 2 or features.dtype not in FEATURE_DTYPES:
        refuse(f"features must be (n, d) float32 or float16, got {tuple(features.shape)} {features.dtype}")
    if len(features) == 0:
        refuse("it has no row")
    if features.shape[1] != dim:
        refuse(f"features have {features.shape[1]} dimensions, but the feature space says {dim}")
    broken = ~(torch.isfinite(features) & (features.abs() <= MAX_FEATURE)).all(1)
    if bool(broken.any()):
        first, count = int(broken.nonzero()[0]), int(broken.sum())
        refuse(f"row {first} of features holds a NaN, infinite or absurdly large value ({count} such rows)")


def check_index(field: str, index: Tensor, n: int, count: int) -> None:
    """Refuse an index that is not (n,) int32 with values in 0 .. count - 1."""
    if index.shape != (n,) or index.dtype != torch.int32:
        refuse(f"{field} must be ({n},) int32, got {tuple(index.shape)} {index.dtype}")
    if int(index.min()) < 0 or int(index.max()) >= count:
        refuse(f"{field} names an entry outside 0 .. {count - 1}")


def check_weights(weights: Tensor, n: int) -> None:
    """Refuse weights that are not (n,) float32, positive and finite."""
    if weights.shape != (n,) or weights.dtype != torch.float32:
        refuse(f"weights must be ({n},) float32, got {tuple(weights.shape)} {weights.dtype}")
    if not bool(torch.isfinite(weights).all()) or bool((weights <= 0).any()):
        refuse("weights must be positive and finite")
