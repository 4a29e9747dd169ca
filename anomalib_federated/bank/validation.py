"""What makes a memory bank valid: the checks that run whenever one is constructed."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NoReturn

import torch
from torch import Tensor

from anomalib_federated.selection.finite import MAX_FEATURE
from anomalib_federated.untrusted import said, shown

FEATURE_DTYPES = (torch.float32, torch.float16)
MAX_COUNT = 1 << 53
"""Larger counts (of patches, pictures, rows) would not be exact in float64."""
MAX_NUMBER = 1e20
"""No distance between two rows of such features is larger; nor does anything take so many seconds."""
MAX_NAME_LENGTH = 200
"""Bytes of a name in UTF-8: file systems allow 255, of which an ending takes some."""
MAX_NAMES = {"categories": 1000, "sites": 10_000}
"""How many names one bank may hold."""
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(10))}
"""Names of devices under Windows, whatever their ending."""


class BankError(ValueError):
    """A memory bank is malformed, or two banks do not fit together."""


def refuse(problem: str) -> NoReturn:
    """Raise a :class:`BankError` with the problem as its sentence."""
    msg = f"Memory bank refused: {problem}."
    raise BankError(msg)


@contextmanager
def refusing(source: str) -> Iterator[None]:
    """Whatever is wrong with a bank that came from outside is a :class:`BankError` that names where it came from."""
    try:
        yield
    # ArithmeticError: passes that are infinite; RuntimeError: values nested too deeply to be shown.
    except (KeyError, ValueError, TypeError, ArithmeticError, RuntimeError) as error:
        reason = f"its meta data lacks {error}" if isinstance(error, KeyError) else str(error)
        reason = reason.removeprefix("Memory bank refused: ").rstrip(".")
        msg = f"{source} is not a valid memory bank ({said(reason)}); have its site build or send it again."
        raise BankError(msg) from error


def check_name(field: str, name: object) -> None:
    r"""Refuse anything but a short printable name that every file system takes as it is.

    Raises:
        BankError: If it is no text, not printable, longer than 200 bytes, has a space at its ends, begins or ends with
            a dot, holds one of ``/ \ : * ? " < > |``, is the name of a device (``nul``), or is not composed (NFC).
    """
    if not isinstance(name, str) or not name.isprintable() or not 0 < len(name.encode()) <= MAX_NAME_LENGTH:
        refuse(f"{field} must be a printable name of 1 to {MAX_NAME_LENGTH} bytes, got {shown(name)}")
    # Results are written to folders and files of these names, under any system.
    unusable = name.strip() != name or name.startswith(".") or name.endswith(".") or set(name) & set('/\\:*?"<>|')
    if unusable or name.split(".")[0].casefold().strip() in _RESERVED:
        refuse(f"{field} must be usable as the name of a folder, got {shown(name)}")
    if unicodedata.normalize("NFC", name) != name:
        refuse(f"{field} must be composed Unicode (NFC), got {shown(name)}")


def check_names(field: str, names: Sequence[str]) -> None:
    """Refuse an empty list of names, an endless one, or one in which two would be the same file on some system.

    Args:
        field: ``categories`` or ``sites``.
        names: The names.

    Raises:
        BankError: As said above, or if a name is not valid.
    """
    if not 0 < len(names) <= MAX_NAMES[field]:
        refuse(f"{field} must be 1 to {MAX_NAMES[field]}, got {len(names)}")
    for name in names:
        check_name(field, name)
    if len({name.casefold() for name in names}) != len(names):
        refuse(f"{field} must be distinct, also in lower case, got {shown(list(names))}")


def check_methods(methods: Mapping[str, str]) -> None:
    """Refuse names of coreset methods that cannot be printed; those of merged banks may be long."""
    for category, method in methods.items():
        if not isinstance(method, str) or not method.strip() or not method.isprintable():
            refuse(f"the coreset of category {shown(category)} must be a printable name, got {shown(method)}")


def check_features(features: Tensor, dim: int) -> None:
    """Refuse features that are not (n, dim) float32 or float16, or not finite."""
    if features.ndim != 2 or features.dtype not in FEATURE_DTYPES:
        refuse(f"features must be (n, d) float32 or float16, got {tuple(features.shape)} {features.dtype}")
    if len(features) == 0:
        refuse("it has no row")
    if features.shape[1] != dim:
        refuse(f"features have {features.shape[1]} dimensions, but the feature space says {dim}")
    # Of each row the two extremes, not a mask of all numbers: a bank may take half of the memory.
    extremes = torch.stack(features.aminmax(dim=1)).float()
    broken = ~(extremes.abs() <= MAX_FEATURE).all(0)  # written so that NaN is broken, too
    if bool(broken.any()):
        first, count = int(broken.nonzero()[0]), int(broken.sum())
        refuse(f"row {first} of features holds a NaN, infinite or absurdly large value ({count} such rows)")


def check_index(field: str, index: Tensor, n: int, count: int) -> None:
    """Refuse an index that is not (n,) int32 with values in 0 .. count - 1."""
    if index.shape != (n,) or index.dtype != torch.int32:
        refuse(f"{field} must be ({n},) int32, got {tuple(index.shape)} {index.dtype}")
    if int(index.min()) < 0 or int(index.max()) >= count:
        refuse(f"{field} names an entry outside 0 .. {count - 1}")


def check_row_numbers(indices: Tensor, n: int) -> None:
    """Refuse row numbers that are not (k,) int64, k >= 1, distinct and within 0 .. n - 1."""
    if indices.ndim != 1 or indices.dtype != torch.int64 or len(indices) == 0:
        refuse(f"indices must be a 1-D int64 tensor of at least one row, got {tuple(indices.shape)} {indices.dtype}")
    if int(indices.min()) < 0 or int(indices.max()) >= n:
        refuse(f"a row number is outside 0 .. {n - 1}")
    if len(torch.unique(indices)) != len(indices):
        refuse("a row number is named twice")


def check_weights(weights: Tensor, n: int) -> None:
    """Refuse weights that are not (n,) float32, positive and no more than a count can be."""
    if weights.shape != (n,) or weights.dtype != torch.float32:
        refuse(f"weights must be ({n},) float32, got {tuple(weights.shape)} {weights.dtype}")
    # Written so that NaN is refused, too. Sums of such weights cannot overflow.
    if not bool(((weights > 0) & (weights <= MAX_COUNT)).all()):
        refuse(f"weights must be positive and finite, at most {MAX_COUNT}")


def check_radii(radii: Mapping[str, float], categories: Sequence[str]) -> None:
    """Refuse covering radii of categories that are not there, or that no distance can be."""
    for category, radius in radii.items():
        if category not in categories or not is_number(radius):
            refuse(f"covering_radius of category {shown(category)} is {shown(radius)}")


def is_count(value: object) -> bool:
    """Whether it is a whole number from 1 to what float64 counts exactly."""
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_COUNT


def is_number(value: object) -> bool:
    """Whether it is a number of at least 0, and of a magnitude that occurs."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MAX_NUMBER
