"""Which categories there are, and what can be wrong with each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from anomalib_federated.data.demo import parts
from anomalib_federated.data.demo.canvas import Canvas

Draw = Callable[[Canvas, np.random.Generator, parts.Faults, str | None], None]
CLOSE_UP = (400, 400)
WIDE = (1000, 750)


@dataclass(frozen=True)
class DemoDefect:
    """One entry of ``defects_config.json``.

    Attributes:
        name: Name of the defect.
        pixel_value: The value of its pixels in the masks.
        saturation: A float is a fraction of the defect's area, an int a number of pixels at nominal size.
    """

    name: str
    pixel_value: int
    saturation: float | int


@dataclass(frozen=True)
class DemoCategory:
    """One category of the data set.

    Attributes:
        name: Folder name.
        size: Nominal width and height in pixels.
        draw: Draws the part.
        defects: What can be wrong.
        types: Defect type (folder) to the sets of defects that its images show in turn.
        rarities: Harmless variations that some good images carry.
    """

    name: str
    size: tuple[int, int]
    draw: Draw
    defects: tuple[DemoDefect, ...]
    types: dict[str, tuple[parts.Faults, ...]]
    rarities: tuple[str, ...]


def _single(*names: str) -> dict[str, tuple[parts.Faults, ...]]:
    return {name: (frozenset({name}),) for name in names}


# New categories and new types go to the end: their position seeds their images.
CATALOG = (
    DemoCategory(
        "engine_wiring",
        CLOSE_UP,
        parts.engine_wiring,
        (
            DemoDefect("blue_hoop", 255, 1.0),
            DemoDefect("fastening", 254, 1.0),
            DemoDefect("cardboard", 253, 0.6),
            DemoDefect("obstruction", 252, 2500),
        ),
        {
            **_single("blue_hoop", "fastening", "cardboard", "obstruction"),
            "multiple": (
                frozenset({"cardboard", "obstruction"}),
                frozenset({"blue_hoop", "cardboard"}),
                frozenset({"fastening", "obstruction"}),
                frozenset({"blue_hoop", "fastening", "obstruction"}),
            ),
        },
        ("sticker", "cable"),
    ),
    DemoCategory(
        "pipe_clip",
        CLOSE_UP,
        parts.pipe_clip,
        (DemoDefect("unclipped", 255, 0.5), DemoDefect("operator", 254, 4000)),
        _single("unclipped", "operator"),
        ("sticker", "clip"),
    ),
    DemoCategory(
        "pipe_staple",
        CLOSE_UP,
        parts.pipe_staple,
        (DemoDefect("missing", 255, 1.0), DemoDefect("scratch", 254, 500)),
        _single("missing", "scratch"),
        ("paint_mark", "hose"),
    ),
    DemoCategory(
        "tank_screw",
        WIDE,
        parts.tank_screw,
        (DemoDefect("missing", 255, 8000), DemoDefect("scratch", 254, 0.5)),
        _single("missing", "scratch"),
        ("paint_mark", "washer"),
    ),
    DemoCategory(
        "underbody_pipes",
        WIDE,
        parts.underbody_pipes,
        (DemoDefect("obstruction", 255, 0.7), DemoDefect("operator", 254, 12000)),
        {**_single("obstruction", "operator"), "multiple": (frozenset({"obstruction", "operator"}),)},
        ("sticker", "pipe"),
    ),
    DemoCategory(
        "underbody_screw",
        WIDE,
        parts.underbody_screw,
        (DemoDefect("missing", 255, 1.0), DemoDefect("scratch", 254, 1200)),
        _single("missing", "scratch"),
        ("paint_mark", "washer"),
    ),
)
