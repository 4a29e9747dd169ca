"""Structural defects, painted over a finished part, and the harmless rarities that good parts may carry."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from anomalib_federated.data.demo.canvas import Canvas, Colour, Point
from anomalib_federated.data.demo.parts import Faults, box, jitter, shade


def somewhere(canvas: Canvas, rng: np.random.Generator, margin: float = 0.25) -> Point:
    """A random place that keeps ``margin`` of the width and height from the border."""
    width, height = canvas.nominal
    u, v = rng.uniform(margin, 1 - margin, 2)
    return float(u * width), float(v * height)


def paint_structural(canvas: Canvas, rng: np.random.Generator, faults: Faults) -> None:
    """Paint the structural defects among ``faults``, each as a channel; several lie close enough to overlap."""
    anchor = somewhere(canvas, rng)
    reach = 0.04 * min(canvas.nominal)
    for name in sorted(faults & STRUCTURAL.keys()):
        dx, dy = rng.uniform(-reach, reach, 2)
        with canvas.channel(name):
            STRUCTURAL[name](canvas, rng, (anchor[0] + float(dx), anchor[1] + float(dy)))


def paint_dirt(canvas: Canvas, rng: np.random.Generator) -> None:
    """Faint specks anywhere, which no two images share and which mean nothing."""
    unit = min(canvas.nominal)
    for _ in range(int(rng.integers(0, 6))):
        radius = unit * float(rng.uniform(0.01, 0.04))
        colour: Colour = (40, 38, 34) if rng.random() < 0.7 else (190, 188, 180)
        outline = _blob(rng, somewhere(canvas, rng, 0.05), radius)
        canvas.veil(outline, colour, float(rng.uniform(0.1, 0.4)), 0.2 * radius)


def paint_rarity(canvas: Canvas, rng: np.random.Generator, mode: str) -> None:
    """Paint the rarity ``mode`` near its usual place if it lies on top; the others are part of the part's drawing."""
    if mode in RARITIES:
        paint, (u, v) = RARITIES[mode]
        du, dv = rng.uniform(-0.03, 0.03, 2)
        paint(canvas, rng, (float(u + du) * canvas.nominal[0], float(v + dv) * canvas.nominal[1]))


def _blob(rng: np.random.Generator, centre: Point, radius: float, ragged: float = 0.25) -> list[Point]:
    angles = np.linspace(0, 2 * np.pi, 18, endpoint=False)
    radii = radius * rng.uniform(1 - ragged, 1 + ragged, angles.size)
    return [
        (float(centre[0] + r * np.cos(a)), float(centre[1] + r * np.sin(a))) for a, r in zip(angles, radii, strict=True)
    ]


def _cardboard(canvas: Canvas, rng: np.random.Generator, centre: Point) -> None:
    side = 0.2 * min(canvas.nominal)
    colour, angle = jitter(rng, (106, 100, 90), 0.08), float(rng.uniform(0, np.pi))
    corners = box(centre, side * rng.uniform(0.9, 1.3), side * rng.uniform(0.6, 0.9), angle)
    canvas.polygon(corners, colour)
    for t in (0.25, 0.5, 0.75):
        (ax, ay), (bx, by), (cx, cy), (dx, dy) = corners
        ends = [(ax + t * (dx - ax), ay + t * (dy - ay)), (bx + t * (cx - bx), by + t * (cy - by))]
        canvas.stroke(ends, 0.05 * side, shade(colour, 0.97))


def _obstruction(canvas: Canvas, rng: np.random.Generator, centre: Point) -> None:
    radius = min(canvas.nominal) * float(rng.uniform(0.07, 0.11))
    canvas.veil(_blob(rng, centre, radius), jitter(rng, (84, 83, 80), 0.1), float(rng.uniform(0.5, 0.8)), 0.06 * radius)


def _operator(canvas: Canvas, rng: np.random.Generator, centre: Point) -> None:
    # Gloved finger tips that reach in from the lower edge.
    unit = min(canvas.nominal)
    colour = jitter(rng, (100, 98, 96), 0.1)
    tip = max(centre[1], 0.5 * canvas.nominal[1])
    for finger in range(2):
        x = centre[0] + (finger - 0.5) * 0.11 * unit
        top = tip + float(rng.uniform(0, 0.06)) * unit
        path: list[Point] = [(x, top), (x + float(rng.uniform(-0.05, 0.05)) * unit, 1.1 * canvas.nominal[1])]
        canvas.stroke(path, 0.095 * unit, shade(colour, 0.85))
        canvas.stroke(path, 0.07 * unit, colour)


def _scratch(canvas: Canvas, rng: np.random.Generator, centre: Point) -> None:
    unit = min(canvas.nominal)
    angle, length = float(rng.uniform(0, np.pi)), unit * float(rng.uniform(0.16, 0.3))
    steps = np.linspace(-0.5, 0.5, 7)
    wobble = rng.uniform(-0.012, 0.012, steps.size) * unit
    path = [
        (
            float(centre[0] + s * length * np.cos(angle) - w * np.sin(angle)),
            float(centre[1] + s * length * np.sin(angle) + w * np.cos(angle)),
        )
        for s, w in zip(steps, wobble, strict=True)
    ]
    canvas.stroke(path, 0.015 * unit, jitter(rng, (140, 138, 134), 0.08))


def _sticker(canvas: Canvas, rng: np.random.Generator, centre: Point) -> None:
    side = 0.11 * min(canvas.nominal)
    angle = float(rng.uniform(-0.2, 0.2))
    canvas.polygon(box(centre, 1.5 * side, side, angle), jitter(rng, (232, 230, 222)))
    for offset in (-0.5, -0.3, -0.12, 0.1, 0.28, 0.5):
        at = (centre[0] + offset * side * float(np.cos(angle)), centre[1] + offset * side * float(np.sin(angle)))
        canvas.polygon(box(at, 0.09 * side, 0.7 * side, angle), (30, 30, 34))


def _paint_mark(canvas: Canvas, rng: np.random.Generator, centre: Point) -> None:
    length = 0.07 * min(canvas.nominal)
    angle = float(rng.uniform(-0.3, 0.3))
    dx, dy = length * float(np.cos(angle)), length * float(np.sin(angle))
    colour: Colour = jitter(rng, (226, 196, 40))
    canvas.stroke([(centre[0] - dx, centre[1] - dy), (centre[0] + dx, centre[1] + dy)], 0.4 * length, colour)
    canvas.stroke([(centre[0] - dy, centre[1] + dx), (centre[0] + dy, centre[1] - dx)], 0.4 * length, colour)


Painter = Callable[[Canvas, np.random.Generator, Point], None]
STRUCTURAL: dict[str, Painter] = {
    "cardboard": _cardboard,
    "obstruction": _obstruction,
    "operator": _operator,
    "scratch": _scratch,
}
RARITIES: dict[str, tuple[Painter, Point]] = {
    "sticker": (_sticker, (0.7, 0.8)),
    "paint_mark": (_paint_mark, (0.25, 0.25)),
}
