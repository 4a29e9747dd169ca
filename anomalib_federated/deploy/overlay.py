"""The picture that an operator looks at: heat map, defect contour, coloured frame, verdict in words."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from anomalib_federated.deploy.heat import colours, cover
from anomalib_federated.deploy.verdict import THRESHOLD, Verdict

_GOOD = (22, 122, 66)
_ANOMALOUS = (186, 24, 38)
_BESIDE = (32, 32, 32)
_SMALLEST_SIDE = 320
_LONGEST_NAME = 40


def overlay(image: NDArray[np.uint8], verdict: Verdict) -> Image.Image:
    """Draw a verdict over its picture.

    The heat map is transparent where the map is far below the threshold and covers 60 % where it is far above. The
    contour goes round the mask. Frame and strip lie outside the picture and hide nothing of it. A picture whose longer
    side is below 320 pixels is enlarged by a whole factor, so that the strip can be read.

    Args:
        image: ``(H, W, 3)`` uint8 RGB or ``(H, W)`` uint8 gray, the picture that was inspected.
        verdict: What the station said about it.

    Returns:
        An RGB picture, larger than the input by frame and strip.
    """
    picture = Image.fromarray(image).convert("RGB")
    factor = max(1, -(-_SMALLEST_SIDE // max(picture.size)))
    picture = picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
    painted = _paint_heat(picture, _around_half(verdict.anomaly_map, verdict.pixel_threshold))
    _paint_contour(painted, verdict.mask)
    return _frame(painted, verdict)


def _around_half(anomaly_map: NDArray[np.float32], threshold: float) -> NDArray[np.float32]:
    """The map normalised by another threshold, which lands on 0.5 as the colours want it."""
    if threshold == THRESHOLD:
        return anomaly_map
    value = np.clip(anomaly_map, 0, 1)
    above, below = value * (1 - threshold), (1 - value) * threshold
    renewed: NDArray[np.float32] = (above / (above + below)).astype(np.float32)
    return renewed


def _paint_heat(picture: Image.Image, anomaly_map: NDArray[np.float32]) -> Image.Image:
    heat = Image.fromarray(anomaly_map.astype(np.float32)).resize(picture.size, Image.Resampling.BILINEAR)
    kept, added = _tints()
    level = np.rint(np.clip(np.asarray(heat), 0, 1) * np.float32(len(kept) - 1)).astype(np.uint16)
    mixed = kept[level][:, :, None] * np.asarray(picture) + added[level]
    return Image.fromarray(np.rint(mixed, out=mixed).astype(np.uint8))


@lru_cache
def _tints() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Per level of the map, how much of the picture is kept, and the colour that is added to it."""
    level = np.linspace(0, 1, 4096, dtype=np.float32)[None]
    share = cover(level)[:, :, None]
    return (1 - share[0, :, 0]).astype(np.float32), (share * colours(level))[0].astype(np.float32)


def _paint_contour(picture: Image.Image, mask: NDArray[np.bool_]) -> None:
    width = max(1, round(max(picture.size) / 400))
    enlarged = Image.fromarray(mask.astype(np.uint8) * 255).resize(picture.size, Image.Resampling.NEAREST)
    area = np.asarray(enlarged) > 0
    outer = _grow(area, width)
    # A dark line round the white one keeps the contour visible on bright parts.
    picture.paste((20, 20, 20), mask=Image.fromarray((_grow(outer, width) & ~area).astype(np.uint8) * 255))
    picture.paste((255, 255, 255), mask=Image.fromarray((outer & ~area).astype(np.uint8) * 255))


def _grow(area: NDArray[np.bool_], width: int) -> NDArray[np.bool_]:
    """The area and all within ``width`` pixels of it, diagonals included."""
    for _ in ("rows", "columns"):
        wider = area.copy()
        for step in range(1, min(width, len(area) - 1) + 1):
            wider[step:] |= area[:-step]
            wider[:-step] |= area[step:]
        area = wider.T
    return area


def _frame(picture: Image.Image, verdict: Verdict) -> Image.Image:
    colour = _ANOMALOUS if verdict.anomalous else _GOOD
    size = int(np.clip(round((picture.width * picture.height) ** 0.5 / 26), 15, 72))
    large, small = ImageFont.load_default(round(1.25 * size)), ImageFont.load_default(size)
    border, gap, strip = max(4, size // 3), size // 2, 2 * size
    word = verdict.word
    numbers = f"score {verdict.score:.3f} / {verdict.threshold:.3f}"
    name = verdict.category[:_LONGEST_NAME]
    written = large.getlength(word) + small.getlength(numbers) + small.getlength(name) + 5 * gap
    # A narrow picture stands in the middle of a strip that is wide enough for its text.
    width = max(picture.width + 2 * border, int(written) + 1)
    canvas = Image.new("RGB", (width, picture.height + strip + border), colour)
    draw = ImageDraw.Draw(canvas)
    draw.rectangle((border, strip, width - border - 1, strip + picture.height - 1), fill=_BESIDE)
    canvas.paste(picture, ((width - picture.width) // 2, strip))
    middle = strip / 2
    draw.text((gap, middle), word, fill="white", font=large, anchor="lm")
    draw.text((2 * gap + large.getlength(word), middle), numbers, fill="white", font=small, anchor="lm")
    draw.text((width - gap, middle), name, fill="white", font=small, anchor="rm")
    return canvas
