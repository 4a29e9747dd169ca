"""Reading defect channels: one mask file is one defect, whose single non-zero value names its type."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from anomalib_federated.metrics import Defect, DefectsConfig
from anomalib_federated.pictures import UNREADABLE


class MaskError(ValueError):
    """A mask file is unusable; the message names the file."""


def read_defects(
    files: Sequence[Path], *, size: tuple[int, int], config: DefectsConfig | None, label: str
) -> tuple[Defect, ...]:
    """Every defect of one picture.

    Args:
        files: Its mask files.
        size: Height and width of the picture.
        config: The category's ``defects_config.json``; ``None`` if it has none (MVTec AD), in which case every file is
            one defect that saturates when it is covered whole.
        label: Sub-folder of the picture, the name of such a defect.

    Raises:
        MaskError: If a file is no image, of another size, has no or several non-zero values, or one that the
            configuration does not know.
    """
    return tuple(_read_defect(file, size, config, label) for file in files)


def _read_defect(file: Path, size: tuple[int, int], config: DefectsConfig | None, label: str) -> Defect:
    values = _read_values(file)
    if values.shape != size:
        msg = f"The mask {file} is {values.shape[0]} x {values.shape[1]}, its picture {size[0]} x {size[1]} pixels."
        raise MaskError(msg)
    found = np.unique(values[values > 0])
    if config is None:
        if not len(found):
            msg = f"The mask {file} marks no pixel."
            raise MaskError(msg)
        return Defect(mask=values > 0, saturation_area=int((values > 0).sum()), name=label)
    if len(found) != 1:
        msg = f"The mask {file} holds the values {found.tolist()}; a channel has exactly one non-zero value."
        raise MaskError(msg)
    try:
        return config.defect(values > 0, int(found[0]))
    except ValueError as error:
        msg = f"The mask {file} cannot be used: {error}"
        raise MaskError(msg) from error


def _read_values(file: Path) -> np.ndarray:
    """Grey values ``(H, W)``; of a coloured mask the largest of its colours, whatever its transparency."""
    try:
        with Image.open(file) as image:
            pixels = np.asarray(image.convert("RGB") if image.mode in {"P", "PA", "RGBA", "RGBX"} else image)
    except UNREADABLE as error:
        msg = f"The mask {file} cannot be read as an image: {error}."
        raise MaskError(msg) from error
    if pixels.ndim == 3:
        # Grey with transparency: the second plane says nothing about the defect.
        pixels = pixels[..., 0] if pixels.shape[2] == 2 else pixels[..., :3].max(2)
    return pixels.astype(np.int64)
