"""Reading pictures of an inspection camera: found in a folder, decoded to 8 bit RGB."""

from __future__ import annotations

import os
import stat
import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
"""File name endings that count as pictures, compared in lower case."""

FORMATS = ("BMP", "JPEG", "PNG", "TIFF", "WEBP")
"""What Pillow may decode; it would start another program for some of the others."""

LARGEST_AREA = 89_478_485
"""Pixels of a picture at most, the size from which Pillow warns of a decompression bomb."""

LARGEST_FILE = 512 * 2**20
"""Bytes of an encoded picture at most."""

_SIDEWAYS = frozenset({5, 6, 7, 8})  # EXIF orientations that exchange height and width

UNREADABLE = (
    OSError,
    ValueError,
    TypeError,
    SyntaxError,
    LookupError,
    ArithmeticError,
    EOFError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
"""What the decoders of Pillow raise on damaged files: mostly OSError, the others were seen when fuzzing it."""


def find_pictures(source: Path, *, skip: Path | None = None) -> list[Path]:
    """List the pictures to inspect.

    Args:
        source: A picture, taken whatever its suffix, or a folder, walked recursively.
        skip: A folder to leave out: the one that receives the overlays.

    Returns:
        Paths that start with ``source``, sorted.

    Raises:
        FileNotFoundError: ``source`` does not exist, or is a folder without pictures.
    """
    if source.is_file():
        return [source]
    if not source.is_dir():
        msg = f"There is no picture and no folder at {source}: check the path."
        raise FileNotFoundError(msg)
    left_out = None if skip is None else skip.resolve()
    found = sorted(
        path
        for path in source.rglob("*")
        if path.suffix.lower() in SUFFIXES
        and path.is_file()
        and (left_out is None or not path.resolve().is_relative_to(left_out))
    )
    if not found:
        endings = ", ".join(sorted(suffix[1:] for suffix in SUFFIXES))
        msg = f"The folder {source} holds no picture: expected files that end in {endings}."
        raise FileNotFoundError(msg)
    return found


def read_image(path: str | Path) -> NDArray[np.uint8]:
    """Read a picture as 8 bit RGB, the way a viewer would show it.

    The EXIF orientation is applied, alpha is dropped without blending, palettes are resolved, gray becomes three equal
    channels, 16 bit gray is divided by 257 (65535 becomes 255) and rounded.

    Args:
        path: A BMP, JPEG, PNG, TIFF or WebP file.

    Returns:
        ``(H, W, 3)`` uint8.

    Raises:
        ValueError: The file is missing, no regular file, damaged, cut short, larger than :data:`LARGEST_FILE` or
            :data:`LARGEST_AREA`, holds several pictures, or has pixels without a known white level (32 bit integers,
            floats). The message names the file.
    """
    try:
        data = read_regular_file(path)
    except OSError as error:
        raise ValueError(_message(path, error)) from error
    return decode_image(data, str(path))


def read_regular_file(path: str | Path) -> bytes:
    """The content of a regular file; never waits for a pipe or a device that stands at the path.

    Raises:
        OSError: It cannot be opened or read, is no regular file, or is larger than :data:`LARGEST_FILE`.
    """
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(number, "rb") as file:
        found = os.fstat(number)
        if not stat.S_ISREG(found.st_mode):
            msg = "it is not a regular file"
            raise OSError(msg)
        data = file.read(LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        msg = f"the file is larger than {LARGEST_FILE // 2**20} MiB"
        raise OSError(msg)
    return data


def decode_image(data: bytes, name: str) -> NDArray[np.uint8]:
    """Decode a picture as :func:`read_image` does.

    Args:
        data: An encoded picture, such as the content of a PNG file.
        name: Where it comes from, for messages.

    Returns:
        ``(H, W, 3)`` uint8.

    Raises:
        ValueError: As :func:`read_image`.

    Example:
        >>> data = BytesIO()
        >>> Image.new("L", (3, 2), 7).save(data, format="PNG")
        >>> decode_image(data.getvalue(), "camera").shape
        (2, 3, 3)
    """
    try:
        with Image.open(BytesIO(data), formats=FORMATS) as opened:
            return _decode(opened)
    except UNREADABLE as error:
        raise ValueError(_message(name, error)) from error


def header_size(path: str | Path) -> tuple[int, int]:
    """Height and width as a viewer shows the picture, read from the file's header alone.

    Raises:
        ValueError: The file is missing or damaged. The message names it.
    """
    try:
        with Image.open(path, formats=FORMATS) as opened:
            width, height = opened.size
            sideways = opened.getexif().get(ExifTags.Base.Orientation) in _SIDEWAYS
    except UNREADABLE as error:
        raise ValueError(_message(path, error)) from error
    return (width, height) if sideways else (height, width)


def _decode(opened: Image.Image) -> NDArray[np.uint8]:
    if opened.width * opened.height > LARGEST_AREA:
        msg = f"it has {opened.width} x {opened.height} pixels, and more than {LARGEST_AREA} are refused"
        raise ValueError(msg)
    frames = getattr(opened, "n_frames", 1)
    # The further frames of an MPO, the JPEG of many phones, are previews of the first.
    if frames > 1 and opened.format != "MPO":
        msg = f"it holds {frames} pictures, and inspecting only the first could miss a defect"
        raise ValueError(msg)
    upright = ImageOps.exif_transpose(opened)
    if upright.mode.startswith("I;16"):
        wide = np.asarray(upright).astype(np.uint32)
        gray = ((wide + 128) // 257).astype(np.uint8)
        return np.repeat(gray[:, :, None], 3, axis=2)
    if upright.mode in {"I", "F"}:
        msg = f"its pixels are 32 bit (mode {upright.mode}), which have no defined white level"
        raise ValueError(msg)
    return np.array(upright.convert("RGB"), dtype=np.uint8)


def _message(name: str | Path, error: BaseException) -> str:
    return f"The picture {name} cannot be read ({_reason(error)}): save it again as an 8 or 16 bit PNG."


def _reason(error: BaseException) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, UnidentifiedImageError):
        return "not a known picture format"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).rstrip(".") or type(error).__name__
