"""One anomaly map in one file: ``.png`` of 8 or 16 bits, ``.tiff``, ``.npy``."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from anomalib_federated.files import write_file
from anomalib_federated.pictures import UNREADABLE

SUFFIXES = (".png", ".tif", ".tiff", ".npy")
"""File name endings that count as maps, compared in lower case."""

WHITE = 65535
"""Largest value of a 16 bit PNG."""

Array = npt.NDArray[np.generic]

_GREY = ("1", "L", "I;16", "I;16B", "I;16L", "F", "RGB")
_SAMPLE_FORMAT, _SIGNED = 339, (2,)


class MapError(ValueError):
    """An anomaly map is unusable or is not where it should be; the message names the file."""


def read_map(path: Path) -> npt.NDArray[np.float32]:
    """Read a map as it is stored: nothing is scaled.

    Args:
        path: ``.png`` of 8 or 16 bits, ``.tif`` or ``.tiff`` of integers or float32, or ``.npy`` of any real numbers;
            shape ``(H, W)``, or with a colour axis whose channels are all equal.

    Returns:
        float32, shape ``(H, W)``. Numbers that float32 does not hold exactly are rounded to it.

    Raises:
        MapError: If the file cannot be read, is no map of one channel, or holds NaN or infinite numbers.
    """
    pixels = _read_array(path) if path.suffix.lower() == ".npy" else _read_picture(path)
    if pixels.dtype.kind not in "buif":
        msg = f"The anomaly map {path} holds {pixels.dtype}; save it as real numbers, such as float32."
        raise MapError(msg)
    if pixels.ndim == 3:
        pixels = _one_channel(path, pixels)
    if pixels.ndim != 2 or pixels.size == 0:
        msg = f"The anomaly map {path} has the shape {pixels.shape}; save it as (height, width)."
        raise MapError(msg)
    with np.errstate(over="ignore"):
        scores = np.ascontiguousarray(pixels, dtype=np.float32)
    if not np.isfinite(scores).all():
        row, column = np.argwhere(~np.isfinite(scores))[0].tolist()
        msg = (
            f"The anomaly map {path} holds {pixels[row, column]} at row {row}, column {column}; "
            "scores must be numbers that float32 can hold."
        )
        raise MapError(msg)
    return scores


def write_png16(path: Path, values: npt.NDArray[np.float64]) -> Path:
    """Write values of 0 to 1 as a 16 bit PNG, 1 being 65535."""
    picture = Image.fromarray(np.rint(values * WHITE).astype(np.uint16))
    content = io.BytesIO()
    picture.save(content, format="PNG", compress_level=3)
    return write_file(path, content.getvalue())


def write_npy(path: Path, scores: npt.NDArray[np.float32]) -> Path:
    """Write scores as they are."""
    content = io.BytesIO()
    np.save(content, scores, allow_pickle=False)
    return write_file(path, content.getvalue())


def _read_array(path: Path) -> Array:
    try:
        with path.open("rb") as file:
            array: Array = np.lib.format.read_array(file, allow_pickle=False)
            more = file.read(1)
    except (OSError, ValueError, EOFError, MemoryError, OverflowError) as error:
        msg = f"The anomaly map {path} cannot be read ({error}); save it with numpy.save, without objects."
        raise MapError(msg) from error
    if more:
        msg = f"The anomaly map {path} goes on after its array; save one map per file with numpy.save."
        raise MapError(msg)
    return array


def _read_picture(path: Path) -> Array:
    try:
        with Image.open(path) as opened:
            pictures: int = getattr(opened, "n_frames", 1)
            signed = getattr(opened, "tag_v2", {}).get(_SAMPLE_FORMAT) == _SIGNED
            mode, pixels = opened.mode, np.asarray(opened)
    except UNREADABLE as error:
        msg = (
            f"The anomaly map {path} cannot be read ({error}); save it again as an 8 or 16 bit PNG, a float32 TIFF "
            "or an .npy file (TIFF of 16 or 64 bit floats is not understood)."
        )
        raise MapError(msg) from error
    if pictures > 1:
        msg = f"The anomaly map {path} holds {pictures} pictures; save one map per file."
        raise MapError(msg)
    # Pillow reads unsigned 32 bit numbers as signed ones, which would turn large scores into small ones.
    if mode not in _GREY and not (mode == "I" and signed):
        msg = f"The anomaly map {path} is of mode {mode}; save it in grey, with 8 or 16 bits or as float32."
        raise MapError(msg)
    return pixels


def _one_channel(path: Path, pixels: Array) -> Array:
    # A leading axis of one is what networks give, a trailing one of equal colours what viewers save.
    if pixels.shape[0] == 1:
        pixels = np.moveaxis(pixels, 0, -1)
    first: Array = pixels[..., 0]
    if not (pixels == first[..., None]).all():
        msg = f"The anomaly map {path} has channels that differ; save one value per pixel, not a coloured picture."
        raise MapError(msg)
    return first
