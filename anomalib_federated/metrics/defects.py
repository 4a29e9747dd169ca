"""Annotated defects: what AUC-sPRO is scored against.

A *channel* is one annotated defect of one image: its mask and its *saturation area*, the number of pixels that a method
must find for the defect to count as fully found. Saturation areas come from the ``defects_config.json`` of a category.

Source: Bergmann et al., "Beyond Dents and Scratches: Logical Constraints in Unsupervised Anomaly Detection and
Localization", IJCV 2022 (saturated per-region overlap); Carvalho et al., "The Automotive Visual Inspection Dataset
(AutoVI)", 2024 (layout).

Example:
    >>> import numpy as np
    >>> from anomalib_federated.metrics.defects import DefectsConfig
    >>> config = DefectsConfig.from_list(
    ...     [{"defect_name": "scratch", "pixel_value": 255, "saturation_threshold": 0.5, "relative_saturation": True}]
    ... )
    >>> config.defect(np.ones((4, 5)), 255).saturation_area
    10
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class Defect:
    """One annotated defect of one image.

    Args:
        mask: Pixels of the defect, bool array of shape ``(H, W)`` with at least one ``True``.
        saturation_area: Number of found pixels at which the defect counts as fully found, from 1 to the mask's area.
        name: Name of the defect type, for reports only.

    Raises:
        ValueError: If the mask or the saturation area is not as above.
    """

    mask: npt.NDArray[np.bool_]
    saturation_area: int
    name: str = ""

    def __post_init__(self) -> None:
        label = f"defect {self.name!r}"
        if not isinstance(self.mask, np.ndarray) or self.mask.dtype != np.bool_ or self.mask.ndim != 2:
            found = f"{self.mask.dtype} {self.mask.shape}" if isinstance(self.mask, np.ndarray) else type(self.mask)
            msg = f"{label}: mask must be a 2-D bool numpy array (H, W), got {found}"
            raise ValueError(msg)
        if self.area == 0:
            msg = f"{label}: mask has no True pixel; leave an empty mask out instead"
            raise ValueError(msg)
        if not _is_whole(self.saturation_area):
            msg = f"{label}: saturation_area must be an integer, got {self.saturation_area!r}"
            raise ValueError(msg)
        # A narrow numpy integer would overflow when negated, so only Python's own is kept.
        object.__setattr__(self, "saturation_area", int(self.saturation_area))
        if not 1 <= self.saturation_area <= self.area:
            msg = f"{label}: saturation_area must be 1 to {self.area} (the mask's area), got {self.saturation_area}"
            raise ValueError(msg)

    @property
    def area(self) -> int:
        """Number of pixels of the mask."""
        return int(np.count_nonzero(self.mask))


@dataclass(frozen=True)
class DefectType:
    """One entry of ``defects_config.json``.

    Args:
        defect_name: Name of the type, not empty.
        pixel_value: Value of this type's pixels in the mask files, 1 to 255.
        saturation_threshold: Relative: share of the defect's area, in (0, 1]. Absolute: a positive whole number of
            pixels.
        relative_saturation: Whether the threshold is relative.

    Raises:
        ValueError: If a field is not as above; the message names the field.
    """

    defect_name: str
    pixel_value: int
    saturation_threshold: float
    relative_saturation: bool

    def __post_init__(self) -> None:
        if not _is_text(self.defect_name):
            msg = f"field 'defect_name' must be a text that is not empty, got {self.defect_name!r}"
            raise ValueError(msg)
        if not _is_whole(self.pixel_value) or not 1 <= self.pixel_value <= 255:
            msg = f"field 'pixel_value' must be an integer from 1 to 255, got {self.pixel_value!r}"
            raise ValueError(msg)
        if not _is_flag(self.relative_saturation):
            msg = f"field 'relative_saturation' must be true or false, got {self.relative_saturation!r}"
            raise ValueError(msg)
        if not _is_threshold(self.saturation_threshold, relative=self.relative_saturation):
            wanted = "in (0, 1] (relative)" if self.relative_saturation else "a positive whole number (absolute)"
            msg = f"field 'saturation_threshold' must be {wanted}, got {self.saturation_threshold!r}"
            raise ValueError(msg)

    def saturation_area(self, area: int) -> int:
        """Number of pixels at which a defect of this type saturates.

        Args:
            area: Number of pixels of the defect.

        Returns:
            ``int(threshold * area)`` in float64 if relative, else ``min(threshold, area)``.

        Raises:
            ValueError: If the result is 0: the defect is too small for a relative threshold, or empty.
        """
        threshold = self.saturation_threshold
        saturation = int(float(threshold) * area) if self.relative_saturation else min(int(threshold), area)
        if saturation < 1:
            msg = (
                f"defect {self.defect_name!r}: saturation_threshold {threshold} of {area} pixels truncates "
                "to a saturation area of 0; enlarge the mask, leave it out or raise the threshold"
            )
            raise ValueError(msg)
        return saturation


@dataclass(frozen=True)
class DefectsConfig:
    """The defect types of one category, the content of its ``defects_config.json``.

    Args:
        types: The types. Of several with one pixel value, the last wins.

    Raises:
        ValueError: If there is no type.
    """

    types: tuple[DefectType, ...]

    def __post_init__(self) -> None:
        if not self.types:
            msg = "the defects config has no entry; list at least one defect type"
            raise ValueError(msg)
        object.__setattr__(self, "types", tuple({entry.pixel_value: entry for entry in self.types}.values()))

    @classmethod
    def from_list(cls, entries: Sequence[Mapping[str, Any]]) -> DefectsConfig:
        """Read the entries of a parsed ``defects_config.json``.

        Args:
            entries: One mapping per type with the fields of :class:`DefectType`. Other fields are not read.

        Returns:
            The validated config.

        Raises:
            ValueError: If there is no entry or one is wrong; the message names its index (from 0) and the field.
        """
        if not _is_list(entries):
            msg = f"the defects config must be a list of entries, got {type(entries).__name__}"
            raise ValueError(msg)
        return cls(tuple(_read_entry(index, entry) for index, entry in enumerate(entries)))

    @classmethod
    def from_file(cls, path: str | Path) -> DefectsConfig:
        """Read a ``defects_config.json``.

        Args:
            path: The file, JSON in UTF-8.

        Returns:
            The validated config.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is not JSON or an entry is wrong; the message names file, entry index and field.
        """
        try:
            return cls.from_list(json.loads(Path(path).read_text(encoding="utf-8")))
        except ValueError as error:
            msg = f"{path}: {error}"
            raise ValueError(msg) from error

    def defect(self, mask: npt.ArrayLike, pixel_value: int) -> Defect:
        """Make the defect of one mask.

        Args:
            mask: Array of shape ``(H, W)``; whatever is not zero belongs to the defect.
            pixel_value: The mask file's value, which picks the type.

        Returns:
            The defect with its saturation area.

        Raises:
            ValueError: If no type has this pixel value, the mask is empty or not 2-D, or its saturation area 0.
        """
        by_value = {entry.pixel_value: entry for entry in self.types}
        if pixel_value not in by_value:
            known = ", ".join(f"{value} ({entry.defect_name})" for value, entry in sorted(by_value.items()))
            msg = f"pixel value {pixel_value} is not in the defects config, which knows {known}"
            raise ValueError(msg)
        array = np.asarray(mask)
        if array.dtype.kind not in "biuf" or not np.isfinite(array).all():
            msg = f"the mask of pixel value {pixel_value} must hold finite numbers or bools, got dtype {array.dtype}"
            raise ValueError(msg)
        entry, pixels = by_value[pixel_value], array != 0
        return Defect(pixels, entry.saturation_area(int(np.count_nonzero(pixels))), entry.defect_name)


def _is_whole(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _is_object(value: object) -> bool:
    return isinstance(value, Mapping)


def _is_threshold(value: object, *, relative: bool) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return False
    return 0 < value <= 1 if relative else value >= 1 and value == int(value)


def _read_entry(index: int, entry: Mapping[str, Any]) -> DefectType:
    if not _is_object(entry):
        msg = f"entry {index} must be an object with fields, got {entry!r}"
        raise ValueError(msg)
    names = [field.name for field in fields(DefectType)]
    missing = [name for name in names if name not in entry]
    if missing:
        msg = f"entry {index}: field {missing[0]!r} is missing"
        raise ValueError(msg)
    try:
        return DefectType(**{name: entry[name] for name in names})
    except ValueError as error:
        msg = f"entry {index}: {error}"
        raise ValueError(msg) from error
