"""The six parts, as they should be and with their logical defects.

Coordinates are nominal: 400 x 400 for the engine's and the pipes' close-ups, 1000 x 750 for tank and underbody.
A name in ``faults`` that a part does not know is no business of its drawing: structural defects are painted afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from anomalib_federated.data.demo.canvas import Canvas, Colour, Point, curve
from anomalib_federated.data.demo.lighting import surface

Faults = frozenset[str]
STEEL: Colour = (168, 168, 164)


def shade(colour: Colour, factor: float) -> Colour:
    """``colour`` lighter (factor > 1) or darker."""
    red, green, blue = (min(255, max(0, round(level * factor))) for level in colour)
    return red, green, blue


def jitter(rng: np.random.Generator, colour: Colour, spread: float = 0.05) -> Colour:
    """``colour`` as another batch has it."""
    return shade(colour, float(rng.uniform(1 - spread, 1 + spread)))


def tube(canvas: Canvas, points: Sequence[Point], width: float, colour: Colour) -> None:
    """A round tube or cable along ``points``, lit from above."""
    canvas.shadow(points, width)
    for part, factor, lift in ((1.0, 0.55, 0.0), (0.8, 0.85, 0.04), (0.55, 1.05, 0.08), (0.18, 1.4, 0.16)):
        canvas.stroke([(x, y - lift * width) for x, y in points], part * width, shade(colour, factor))


def screw(canvas: Canvas, rng: np.random.Generator, centre: Point, radius: float, *, missing: bool) -> None:
    """A hexagonal screw head on its washer; *missing*, the washer shows its hole."""
    colour, turn = jitter(rng, (138, 138, 134)), float(rng.uniform(0, 1))
    canvas.shadow([centre, centre], 2 * radius)
    canvas.disc(centre, radius, shade(colour, 0.8))
    canvas.disc(centre, 0.88 * radius, shade(colour, 1.05))
    if missing:
        with canvas.channel("missing", visible=False):
            canvas.disc(centre, 0.88 * radius, colour)
        canvas.disc(centre, 0.4 * radius, shade(colour, 0.72))
        canvas.disc(centre, 0.32 * radius, shade(colour, 0.55))
        return
    for size, factor in ((0.68, 0.6), (0.6, 1.15)):
        corners = turn + np.arange(6) * np.pi / 3
        canvas.polygon(
            [(centre[0] + size * radius * np.cos(a), centre[1] + size * radius * np.sin(a)) for a in corners],
            shade(colour, factor),
        )
    canvas.disc(centre, 0.26 * radius, shade(colour, 0.75))


def box(centre: Point, width: float, height: float, angle: float = 0.0) -> list[Point]:
    """Corners of a rectangle turned by ``angle`` radians."""
    c, s = float(np.cos(angle)), float(np.sin(angle))
    corners = ((-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5))
    return [
        (centre[0] + c * u * width - s * v * height, centre[1] + s * u * width + c * v * height) for u, v in corners
    ]


def _hoop(canvas: Canvas, x: float, colour: Colour) -> None:
    canvas.stroke([(x, 118), (x + 4, 290)], 20, shade(colour, 0.65))
    canvas.stroke([(x - 2, 118), (x + 2, 288)], 11, colour)


def _fastener(canvas: Canvas, centre: Point, colour: Colour) -> None:
    canvas.polygon(box(centre, 46, 62), shade(colour, 0.6))
    canvas.polygon(box((centre[0] - 2, centre[1] - 3), 38, 54), colour)
    canvas.polygon(box(centre, 12, 30), shade(colour, 0.5))


def engine_wiring(canvas: Canvas, rng: np.random.Generator, faults: Faults, mode: str | None) -> None:
    """Four cables held by a blue and a black hoop and two fasteners."""
    canvas.background(surface(rng, canvas.size, (92, 94, 96), roughness=0.10))
    canvas.polygon(box((200, 352), 520, 60), jitter(rng, (70, 72, 76)))
    canvas.stroke([(-40, 66), (440, 62)], 6, (62, 63, 66))
    other: Colour = (60, 140, 80)
    colours: list[Colour] = [(44, 44, 48), (150, 52, 46), (48, 46, 44), other if mode == "cable" else (52, 52, 58)]
    for row, colour in enumerate(colours):
        y = 140 + 42 * row
        bend = rng.uniform(-20, 20, 4)
        path = curve((-40, y + bend[0]), (100, y + bend[1]), (240, y + bend[2] - 12), (440, y + bend[3]))
        tube(canvas, path, 27, jitter(rng, colour))
    _hoop(canvas, 300, jitter(rng, (38, 38, 42)))
    blue = jitter(rng, (52, 84, 150))
    if "blue_hoop" in faults:
        with canvas.channel("blue_hoop", visible=False):
            _hoop(canvas, 120, blue)
    else:
        _hoop(canvas, 120, blue)
    gone = int(rng.integers(2)) if "fastening" in faults else -1
    for index, centre in enumerate(((205.0, 96.0), (225.0, 318.0))):
        if index == gone:
            with canvas.channel("fastening", visible=False):
                _fastener(canvas, centre, STEEL)
        else:
            _fastener(canvas, centre, jitter(rng, (176, 174, 166)))


def _clip(canvas: Canvas, centre: Point, angle: float, colour: Colour) -> None:
    canvas.shadow(box(centre, 1, 110, angle)[:3:2], 70)
    canvas.polygon(box(centre, 66, 150, angle), shade(colour, 0.6))
    canvas.polygon(box(centre, 54, 140, angle), colour)
    canvas.polygon(box(centre, 16, 140, angle), shade(colour, 0.8))
    along = (-float(np.sin(angle)) * 82, float(np.cos(angle)) * 82)
    canvas.polygon(box((centre[0] - along[0], centre[1] - along[1]), 34, 26, angle), shade(colour, 0.85))
    canvas.polygon(box((centre[0] + along[0], centre[1] + along[1]), 34, 26, angle), shade(colour, 0.75))


def pipe_clip(canvas: Canvas, rng: np.random.Generator, faults: Faults, mode: str | None) -> None:
    """A pipe held by a plastic clip; *unclipped*, the clip sits askew."""
    canvas.background(surface(rng, canvas.size, (126, 122, 114), roughness=0.08))
    canvas.polygon(box((200, 300), 220, 130), jitter(rng, (104, 102, 98)))
    tube(canvas, curve((-50, 190), (130, 215), (270, 185), (450, 215)), 82, jitter(rng, (66, 66, 70)))
    centre = (200 + rng.uniform(-8, 8), 200 + rng.uniform(-4, 4))
    colour = jitter(rng, (120, 150, 110) if mode == "clip" else (148, 146, 138))
    if "unclipped" in faults:
        with canvas.channel("unclipped"):
            away = (centre[0] + rng.uniform(-10, 10), centre[1] - rng.uniform(8, 22))
            _clip(canvas, away, float(rng.choice((-1, 1)) * rng.uniform(0.15, 0.32)), colour)
    else:
        _clip(canvas, centre, float(rng.uniform(-0.05, 0.05)), colour)


def _staple(canvas: Canvas, x: float, colour: Colour) -> None:
    canvas.stroke(curve((x, 118), (x - 12, 170), (x - 12, 240), (x, 292)), 20, shade(colour, 0.6))
    canvas.stroke(curve((x - 3, 118), (x - 15, 170), (x - 15, 240), (x - 3, 292)), 10, shade(colour, 1.15))
    for y in (112.0, 298.0):
        canvas.disc((x, y), 19, shade(colour, 0.7))
        canvas.disc((x - 2, y - 2), 13, colour)


def pipe_staple(canvas: Canvas, rng: np.random.Generator, faults: Faults, mode: str | None) -> None:
    """A pipe under a metal staple, beside a thin hose."""
    canvas.background(surface(rng, canvas.size, (112, 116, 122), roughness=0.09))
    canvas.stroke([(-40, 60), (440, 70)], 10, (88, 92, 98))
    hose: Colour = (164, 120, 44) if mode == "hose" else (58, 60, 62)
    tube(canvas, curve((-40, 352), (130, 336), (270, 362), (440, 344)), 26, jitter(rng, hose))
    tube(canvas, curve((-50, 208), (130, 198), (270, 214), (450, 202)), 104, jitter(rng, (120, 118, 112)))
    x = 200 + float(rng.uniform(-12, 12))
    if "missing" in faults:
        with canvas.channel("missing", visible=False):
            _staple(canvas, x, STEEL)
        for y in (112.0, 298.0):
            canvas.disc((x, y), 8, (74, 76, 80))
    else:
        _staple(canvas, x, jitter(rng, (150, 150, 148)))


def tank_screw(canvas: Canvas, rng: np.random.Generator, faults: Faults, mode: str | None) -> None:
    """A ribbed metal plate with one screw."""
    canvas.background(surface(rng, canvas.size, (134, 136, 138), roughness=0.08, stains=4))
    for y in (150.0, 600.0):
        tube(canvas, [(-80, y), (1080, y + rng.uniform(-10, 10))], 54, jitter(rng, (122, 124, 126), 0.03))
    canvas.polygon(box((500, 375), 330, 230), jitter(rng, (112, 114, 117)))
    canvas.polygon(box((500, 372), 310, 212), jitter(rng, (128, 130, 132), 0.03))
    centre = (500 + rng.uniform(-14, 14), 375 + rng.uniform(-10, 10))
    if mode == "washer":
        canvas.disc(centre, 96, (126, 112, 78))
    screw(canvas, rng, centre, 66, missing="missing" in faults)


def underbody_pipes(canvas: Canvas, rng: np.random.Generator, _faults: Faults, mode: str | None) -> None:
    """Four parallel pipes held by three brackets."""
    canvas.background(surface(rng, canvas.size, (84, 84, 82), roughness=0.14, stains=4))
    other: Colour = (70, 110, 70)
    colours: list[Colour] = [(58, 58, 60), (120, 120, 116), other if mode == "pipe" else (66, 64, 62), (104, 98, 88)]
    for row, colour in enumerate(colours):
        y, bend = 170 + 135 * row, rng.uniform(-25, 25, 3)
        path = curve((-80, y + bend[0]), (300, y + bend[1]), (700, y + bend[2]), (1080, y))
        tube(canvas, path, 84 if row != 1 else 58, jitter(rng, colour))
    for x in (200.0, 520.0, 830.0):
        middle, colour = x + rng.uniform(-15, 15), jitter(rng, (134, 134, 130))
        canvas.polygon(box((middle, 375), 52, 600), shade(colour, 0.55))
        canvas.polygon(box((middle - 4, 373), 38, 590), colour)
        for end in (105.0, 645.0):
            canvas.disc((middle - 4, end), 15, shade(colour, 0.6))


def underbody_screw(canvas: Canvas, rng: np.random.Generator, faults: Faults, mode: str | None) -> None:
    """A rough casting with three screws, of which one or two can be missing."""
    canvas.background(surface(rng, canvas.size, (104, 102, 98), roughness=0.15, stains=4))
    canvas.polygon([(90, 640), (250, 120), (780, 100), (920, 620)], jitter(rng, (120, 118, 114), 0.03))
    canvas.veil([(150, 600), (280, 160), (750, 140), (860, 590)], jitter(rng, (134, 132, 128), 0.03), 0.7, 12)
    tube(canvas, curve((480, -60), (470, 200), (560, 420), (520, 820)), 60, jitter(rng, (112, 110, 106)))
    lost = int(rng.integers(1, 3)) if "missing" in faults else 0
    gone = rng.permutation(3)[:lost].tolist()
    for index, place in enumerate(((300.0, 500.0), (340.0, 220.0), (720.0, 380.0))):
        centre = (place[0] + rng.uniform(-12, 12), place[1] + rng.uniform(-12, 12))
        canvas.disc(centre, 72, (112, 110, 107))
        if mode == "washer":
            canvas.disc(centre, 68, (132, 112, 66))
        screw(canvas, rng, centre, 54, missing=index in gone)
