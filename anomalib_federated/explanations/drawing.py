"""An explanation as one picture: the part, what mattered on it, and the numbers in words.

All is laid out for 960 pixels across, with letters that can still be read when it is shown at 480.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from anomalib_federated.deploy.layers import heat_layer, normalise, outline_layer
from anomalib_federated.explanations.explanation_file import Told
from anomalib_federated.explanations.wording import bars_of, headline, sentences
from anomalib_federated.interfaces.explainer import Explanation, Panel

WIDTH, MARGIN = 960, 16
SIDE = (WIDTH - 3 * MARGIN) // 2
"""Width of the picture, and of its copy with colours."""

TALLEST = 640
"""Of these, in pixels."""

TITLE, TEXT = 30, 24
"""Sizes of letters."""

PANELS = 4
"""Side by side in a row."""

BOXES = 5
"""Largest contributions whose patches are outlined and that have a bar of their own."""

_INK, _FAINT, _PAPER, _BAR, _FALLING, _WARN = "#1b1f24", "#57606a", "white", "#d0582a", "#2f6fb0", "#a40e26"


def draw(
    picture: NDArray[np.uint8], told: Told, explanation: Explanation, *, annotated: NDArray[np.bool_] | None = None
) -> Image.Image:
    """Draw an explanation.

    Args:
        picture: ``(H, W, 3)`` uint8 RGB, the picture that is explained.
        told: The explanation's numbers.
        explanation: The same with its relevance and panels.
        annotated: ``(H, W)`` bool: pixels of its defects, if somebody marked them.

    Returns:
        An RGB picture, 960 pixels wide.
    """
    size = _fitting(picture.shape[1], picture.shape[0])
    plain = Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS)
    # The annotation is not drawn on the copy with colours, whose own outline would be taken for it.
    marked = _with_boxes(_coloured(plain, explanation.relevance, explanation.threshold), told, picture.shape[:2])
    left = "the picture" + (", its annotated defect outlined" if annotated is not None and annotated.any() else "")
    blocks = [
        _heading(told),
        _row([(_outlined(plain, annotated), left), (marked, _right(explanation))], SIDE),
        _bars(told),
        _lines(sentences(told), TEXT, _INK),
        *_panel_rows(explanation.panels),
        _lines(
            ["Shows pictures of the site: this explanation stays at the site."] if told.private else [], TEXT, _WARN
        ),
    ]
    return _below_each_other([block for block in blocks if block is not None])


def _right(explanation: Explanation) -> str:
    if explanation.threshold is not None:
        above = bool((explanation.relevance > explanation.threshold).any())
        return "outlined: above the pixel threshold" if above else "nothing is above the pixel threshold"
    if float(explanation.relevance.max()) <= 0:
        return "nothing raised the score"
    boxed = ", framed: below" if explanation.contributions else ""
    return f"red: mattered most{boxed}"


def _fitting(width: int, height: int) -> tuple[int, int]:
    factor = min(SIDE / width, TALLEST / height)
    return max(1, round(width * factor)), max(1, round(height * factor))


def _outlined(picture: Image.Image, area: NDArray[np.bool_] | None) -> Image.Image:
    if area is None or not area.any():
        return picture
    # A scratch thinner than a pixel must not vanish.
    small = Image.fromarray(area.astype(np.float32)).resize(picture.size, Image.Resampling.BOX)
    return Image.alpha_composite(picture.convert("RGBA"), outline_layer(np.asarray(small) > 0)).convert("RGB")


def _coloured(picture: Image.Image, relevance: Tensor, threshold: float | None) -> Image.Image:
    values = Image.fromarray(relevance.float().cpu().numpy()).resize(picture.size, Image.Resampling.BILINEAR)
    grid = np.asarray(values)
    top = float(grid.max())
    if threshold is not None and threshold > 0:
        layers = [heat_layer(normalise(grid, threshold)), outline_layer(grid > threshold)]
    else:
        layers = [heat_layer((grid / top).clip(0, 1).astype(np.float32))] if top > 0 else []
    canvas = picture.convert("RGBA")
    for layer in layers:
        canvas = Image.alpha_composite(canvas, layer)
    return canvas.convert("RGB")


def _with_boxes(picture: Image.Image, told: Told, size: tuple[int, int]) -> Image.Image:
    draw = ImageDraw.Draw(picture)
    down, across = picture.height / size[0], picture.width / size[1]
    for each in told.contributions[:BOXES]:
        left, top, right, bottom = each.box
        edges = (round(left * across), round(top * down), round(right * across), round(bottom * down))
        for grown, colour in ((2, (20, 20, 20)), (1, (255, 255, 255))):
            draw.rectangle(
                (edges[0] - grown, edges[1] - grown, edges[2] + grown - 1, edges[3] + grown - 1), outline=colour
            )
    return picture


def _heading(told: Told) -> Image.Image:
    title, lines = headline(told)
    above = _lines([title], TITLE, _INK)
    below = _lines(lines, TEXT, _FAINT)
    return _below_each_other([each for each in (above, below) if each is not None], gap=0, margin=0)


def _bars(told: Told) -> Image.Image | None:
    """What adds up to the number explained, one bar each."""
    bars = bars_of(told, listed=BOXES)
    if not bars:
        return None
    font = ImageFont.load_default(TEXT)
    names = max(font.getlength(name) for name, _, _ in bars)
    values = max(font.getlength(words) for _, _, words in bars)
    height, room = round(1.5 * TEXT), WIDTH - 4 * MARGIN - names - values
    largest = max(abs(value) for _, value, _ in bars) or 1.0
    canvas = Image.new("RGB", (WIDTH, height * len(bars)), _PAPER)
    draw = ImageDraw.Draw(canvas)
    for number, (name, value, words) in enumerate(bars):
        middle = height * (number + 0.5)
        begin = 2 * MARGIN + names
        draw.text((MARGIN, middle), name, fill=_INK, font=font, anchor="lm")
        length = room * abs(value) / largest
        last = number == len(bars) - 1
        colour = _INK if last else _BAR if value >= 0 else _FALLING
        draw.rectangle((begin, middle - height / 4, begin + length, middle + height / 4), fill=colour)
        draw.text((WIDTH - MARGIN, middle), words, fill=_INK, font=font, anchor="rm")
    return canvas


def _panel_rows(panels: Sequence[Panel]) -> list[Image.Image]:
    side = (WIDTH - (PANELS + 1) * MARGIN) // PANELS
    return [
        _row([(_square(each.picture, side), each.caption) for each in panels[first : first + PANELS]], side)
        for first in range(0, len(panels), PANELS)
    ]


def _square(picture: NDArray[np.uint8], side: int) -> Image.Image:
    factor = side / max(picture.shape[:2])
    size = max(1, round(picture.shape[1] * factor)), max(1, round(picture.shape[0] * factor))
    return Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC)


def _row(pictures: Sequence[tuple[Image.Image, str]], width: int) -> Image.Image:
    """Pictures beside each other, with captions."""
    font = ImageFont.load_default(TEXT)
    captions = [_wrapped(caption, font, width) for _, caption in pictures]
    tallest = max(picture.height for picture, _ in pictures)
    line = round(1.2 * TEXT)
    canvas = Image.new("RGB", (WIDTH, tallest + line * max(map(len, captions)) + 6), _PAPER)
    draw = ImageDraw.Draw(canvas)
    for number, ((picture, _), caption) in enumerate(zip(pictures, captions, strict=True)):
        left = MARGIN + number * (width + MARGIN)
        canvas.paste(picture, (left + (width - picture.width) // 2, 0))
        for each, words in enumerate(caption):
            draw.text((left, tallest + 4 + each * line), words, fill=_FAINT, font=font)
    return canvas


def _lines(lines: Sequence[str], size: int, colour: str) -> Image.Image | None:
    font = ImageFont.load_default(size)
    wrapped = [words for line in lines for words in _wrapped(line, font, WIDTH - 2 * MARGIN)]
    if not wrapped:
        return None
    height = round(1.25 * size)
    canvas = Image.new("RGB", (WIDTH, height * len(wrapped)), _PAPER)
    draw = ImageDraw.Draw(canvas)
    for number, words in enumerate(wrapped):
        draw.text((MARGIN, height * number), words, fill=colour, font=font)
    return canvas


def _wrapped(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> list[str]:
    """Words in lines that fit; a word that is too long for a line is cut."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= width:
            lines[-1] = longer
            continue
        lines += [""] if lines[-1] else []
        while font.getlength(word) > width:
            fits = next(count for count in range(len(word) - 1, 0, -1) if font.getlength(word[:count]) <= width)
            lines[-1], word = word[:fits], word[fits:]  # noqa: PLW2901 - the rest of it
            lines.append("")
        lines[-1] = word
    return [line for line in lines if line]


def _below_each_other(blocks: Sequence[Image.Image], *, gap: int = 12, margin: int = MARGIN) -> Image.Image:
    height = sum(block.height for block in blocks) + gap * (len(blocks) - 1) + 2 * margin
    canvas = Image.new("RGB", (WIDTH, height), _PAPER)
    top = margin
    for block in blocks:
        canvas.paste(block, (0, top))
        top += block.height + gap
    return canvas
