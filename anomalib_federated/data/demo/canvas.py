"""A supersampled drawing board whose strokes can be recorded as defect channels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Point = tuple[float, float]
Colour = tuple[int, int, int]
FloatArray = NDArray[np.float32]

SUPERSAMPLE = 2
MAX_SHIFT = 0.025  # of the image's width and height
MAX_ANGLE = 4.0  # degrees


def pixel_size(nominal: tuple[int, int], scale: float) -> tuple[int, int]:
    """Width and height in pixels of an image of ``nominal`` size scaled by ``scale``."""
    return max(1, round(nominal[0] * scale)), max(1, round(nominal[1] * scale))


def curve(*control: Point, samples: int = 32) -> list[Point]:
    """Points of the Bezier curve (de Casteljau) with the given ``control`` points."""
    t = np.linspace(0.0, 1.0, samples)[:, None]
    level = [np.asarray(point, dtype=np.float64)[None, :] for point in control]
    while len(level) > 1:
        level = [(1 - t) * a + t * b for a, b in pairwise(level)]
    return [(float(x), float(y)) for x, y in level[0]]


class Canvas:
    """Draws in nominal coordinates, moved and turned by one random pose per image.

    Everything drawn inside ``with canvas.channel(name):`` is recorded as one defect channel; with ``visible=False`` it
    is recorded but not painted, which is how the mask of a *missing* part comes about.

    Args:
        nominal: Width and height of the coordinate system.
        scale: Pixels of the written image per nominal unit.
        rng: Draws the pose.

    Example:
        >>> canvas = Canvas((400, 400), 0.1, np.random.default_rng(0))
        >>> with canvas.channel("spot"):
        ...     canvas.disc((200, 200), 50, (200, 30, 30))
        >>> canvas.pixels().shape, [name for name, _ in canvas.masks()]
        ((40, 40, 3), ['spot'])
    """

    def __init__(self, nominal: tuple[int, int], scale: float, rng: np.random.Generator) -> None:
        self.nominal = nominal
        self.size = pixel_size(nominal, scale)
        self._large = (self.size[0] * SUPERSAMPLE, self.size[1] * SUPERSAMPLE)
        self._factor = scale * SUPERSAMPLE
        angle = np.deg2rad(rng.uniform(-MAX_ANGLE, MAX_ANGLE))
        self._turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        self._centre = np.asarray(nominal, dtype=np.float64) / 2
        self._shift = rng.uniform(-MAX_SHIFT, MAX_SHIFT, 2) * nominal
        self._image = Image.new("RGB", self._large)
        self._channels: list[tuple[str, Image.Image]] = []
        self._recording: Image.Image | None = None
        self._visible = True

    @contextmanager
    def channel(self, name: str, *, visible: bool = True) -> Iterator[None]:
        """Record what is drawn inside as one new defect channel called ``name``."""
        self._recording = Image.new("L", self._large)
        self._visible = visible
        self._channels.append((name, self._recording))
        try:
            yield
        finally:
            self._recording = None
            self._visible = True

    def background(self, colours: FloatArray) -> None:
        """Cover the board with ``colours``: (height, width, 3) in gray levels, at the size of the written image."""
        small = Image.fromarray(np.clip(colours, 0, 255).astype(np.uint8))
        self._image = small.resize(self._large, Image.Resampling.BILINEAR)

    def stroke(self, points: Sequence[Point], width: float, colour: Colour) -> None:
        """Draw a line of ``width`` through ``points`` with round ends."""
        for draw, fill in self._targets(colour):
            _stroke(draw, self._place(points), width * self._factor, fill)

    def polygon(self, points: Sequence[Point], colour: Colour) -> None:
        """Fill the polygon through ``points``."""
        for draw, fill in self._targets(colour):
            draw.polygon(self._place(points), fill=fill)

    def disc(self, centre: Point, radius: float, colour: Colour) -> None:
        """Fill a disc."""
        for draw, fill in self._targets(colour):
            _disc(draw, self._place([centre])[0], radius * self._factor, fill)

    def veil(self, points: Sequence[Point], colour: Colour, opacity: float, blur: float) -> None:
        """Lay a translucent polygon, its edge softened by ``blur`` units; the channel gets the sharp outline."""
        cover = Image.new("L", self._large)
        ImageDraw.Draw(cover).polygon(self._place(points), fill=255)
        if self._recording is not None:
            self._recording.paste(255, mask=cover)
        self._tint(cover, colour, opacity, blur)

    def shadow(self, points: Sequence[Point], width: float, opacity: float = 0.5) -> None:
        """Darken softly along a line; a shadow never belongs to a defect channel."""
        cover = Image.new("L", self._large)
        lowered = [(x + 0.15 * width, y + 0.25 * width) for x, y in points]
        _stroke(ImageDraw.Draw(cover), self._place(lowered), width * self._factor, 255)
        self._tint(cover, (0, 0, 0), opacity, 0.12 * width)

    def pixels(self) -> FloatArray:
        """The picture at its final size: (height, width, 3), gray levels 0 to 255."""
        return np.asarray(self._image.resize(self.size, Image.Resampling.BOX), dtype=np.float32)

    def masks(self) -> list[tuple[str, NDArray[np.bool_]]]:
        """Name and (height, width) mask of each channel, in the order of drawing."""
        reduced = [(name, np.asarray(mask.resize(self.size, Image.Resampling.BOX))) for name, mask in self._channels]
        # A shape thinner than a pixel covers none by half; its best-covered pixels then stand for it.
        return [(name, cover >= max(1, min(128, int(cover.max())))) for name, cover in reduced]

    def _place(self, points: Sequence[Point]) -> list[Point]:
        moved = (np.asarray(points, dtype=np.float64) - self._centre) @ self._turn.T + self._centre + self._shift
        return [(float(x), float(y)) for x, y in moved * self._factor]

    def _targets(self, colour: Colour) -> list[tuple[ImageDraw.ImageDraw, Colour | int]]:
        targets: list[tuple[ImageDraw.ImageDraw, Colour | int]] = []
        if self._visible:
            targets.append((ImageDraw.Draw(self._image), colour))
        if self._recording is not None:
            targets.append((ImageDraw.Draw(self._recording), 255))
        return targets

    def _tint(self, cover: Image.Image, colour: Colour, opacity: float, blur: float) -> None:
        box = cover.getbbox()
        if box is None or not self._visible:
            return
        # Blurring the part around the shape alone saves most of the time.
        radius = blur * self._factor
        reach = int(3 * radius) + 1
        left, top = max(0, box[0] - reach), max(0, box[1] - reach)
        soft = cover.crop((left, top, box[2] + reach, box[3] + reach)).filter(ImageFilter.GaussianBlur(radius))
        faded = soft.point([round(level * opacity) for level in range(256)])
        self._image.paste(colour, (left, top, left + faded.width, top + faded.height), faded)


def _stroke(draw: ImageDraw.ImageDraw, points: list[Point], width: float, fill: Colour | int) -> None:
    if width < 2:
        draw.line(points, fill=fill, width=max(1, round(width)))
        return
    # One polygon along both sides: ImageDraw's own joints leave notches in thick curves.
    middle = np.asarray(points)
    along = np.gradient(middle, axis=0)
    length = np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-9)[:, None]
    across = np.stack((-along[:, 1], along[:, 0]), axis=1) / length * (width / 2)
    outline = np.concatenate((middle + across, (middle - across)[::-1]))
    draw.polygon([(float(x), float(y)) for x, y in outline], fill=fill)
    for end in (points[0], points[-1]):
        _disc(draw, end, width / 2, fill)


def _disc(draw: ImageDraw.ImageDraw, centre: Point, radius: float, fill: Colour | int) -> None:
    x, y = centre
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)
