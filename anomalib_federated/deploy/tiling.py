"""Pictures larger than a model is good for, cut into overlapping tiles whose maps are put together again.

Needs numpy alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalib_federated.untrusted import shown

MOST_TILES = 4096
"""A picture that would be cut into more is refused."""


@dataclass(frozen=True, kw_only=True)
class Tiling:
    """How pictures are cut.

    Attributes:
        height: Of a tile, in pixels.
        width: Of a tile, in pixels.
        overlap: Pixels that neighbouring tiles share at least, so that no defect lies on a border in both.

    Raises:
        ValueError: If a size is impossible, or the overlap is not smaller than the tiles.

    Example:
        >>> tiling = Tiling(height=4, width=4, overlap=1)
        >>> [(tile.top, tile.left) for tile in tiling.tiles(4, 9)]
        [(0, 0), (0, 3), (0, 5)]
    """

    height: int
    width: int
    overlap: int = 0

    def __post_init__(self) -> None:
        whole = all(type(value) is int for value in (self.height, self.width, self.overlap))
        if not whole or not 0 <= self.overlap < min(self.height, self.width):
            msg = (
                f"Tiles of {shown(self.height)} x {shown(self.width)} pixels cannot overlap by {shown(self.overlap)}; "
                "give whole sizes of 1 or more, and an overlap smaller than both."
            )
            raise ValueError(msg)

    def __str__(self) -> str:
        return f"tiles of {self.height} x {self.width} pixels that overlap by {self.overlap}"

    def tiles(self, height: int, width: int) -> list[Tile]:
        """The tiles of a picture, row by row.

        All have the tiling's size; those at the far borders overlap more. A picture that is smaller than a tile in a
        direction is not cut in it.

        Args:
            height: Of the picture, in pixels.
            width: Of the picture, in pixels.

        Raises:
            ValueError: There would be more than :data:`MOST_TILES`.
        """
        tops = _starts(height, self.height, self.overlap)
        lefts = _starts(width, self.width, self.overlap)
        if len(tops) * len(lefts) > MOST_TILES:
            msg = (
                f"A picture of {height} x {width} pixels would be cut into {len(tops) * len(lefts)} {self}: give "
                f"larger tiles or less overlap, so that there are at most {MOST_TILES}."
            )
            raise ValueError(msg)
        size = (min(height, self.height), min(width, self.width))
        return [Tile(top=top, left=left, height=size[0], width=size[1]) for top in tops for left in lefts]


@dataclass(frozen=True, kw_only=True)
class Tile:
    """A part of a picture, in pixels."""

    top: int
    left: int
    height: int
    width: int

    def cut(self, image: NDArray[Any]) -> NDArray[Any]:
        """The tile's pixels of a picture ``(height, width, ...)``; a view."""
        return image[self.top : self.top + self.height, self.left : self.left + self.width]


def stitch(maps: Sequence[NDArray[np.float32]], tiles: Sequence[Tile], *, size: tuple[int, int]) -> NDArray[np.float32]:
    """Put the maps of tiles together.

    Args:
        maps: One of each tile, in the tile's size.
        tiles: All tiles of the picture, see :meth:`Tiling.tiles`.
        size: Height and width of the picture.

    Returns:
        Shape ``size``, float32. Where tiles overlap, the largest of their values counts: a defect that one tile sees
        stays as it is.

    Raises:
        ValueError: If there is not one map for each tile, one has another size, or the tiles leave a gap.

    Example:
        >>> tiles = Tiling(height=2, width=2, overlap=1).tiles(1, 3)
        >>> stitch([np.float32([[1, 5]]), np.float32([[2, 3]])], tiles, size=(1, 3))
        array([[1., 5., 3.]], dtype=float32)
    """
    if len(maps) != len(tiles):
        msg = f"There are {len(maps)} maps of {len(tiles)} tiles; give one map for each tile."
        raise ValueError(msg)
    whole = np.full(size, -np.inf, np.float32)
    for found, tile in zip(maps, tiles, strict=True):
        if found.shape != (tile.height, tile.width):
            msg = f"The map of a tile of {tile.height} x {tile.width} pixels has shape {found.shape}; resize it first."
            raise ValueError(msg)
        part = tile.cut(whole)
        np.maximum(part, found, out=part)
    if np.isneginf(whole).any():
        msg = f"The tiles leave a part of the picture of {size[0]} x {size[1]} pixels uncovered; give all of them."
        raise ValueError(msg)
    return whole


def resized(anomaly_map: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """A map at another size, bilinear with pixel centres aligned (as torch's ``align_corners=False``).

    Args:
        anomaly_map: Shape ``(h, w)``, float32.
        size: Wished height and width.

    Example:
        >>> resized(np.float32([[0, 1]]), (1, 4)).tolist()
        [[0.0, 0.25, 0.75, 1.0]]
    """
    result = anomaly_map
    for axis, wished in enumerate(size):
        if result.shape[axis] == wished:
            continue
        places = (np.arange(wished) + 0.5) * (result.shape[axis] / wished) - 0.5
        places = places.clip(0, result.shape[axis] - 1)
        low = np.floor(places).astype(np.intp)
        high = np.minimum(low + 1, result.shape[axis] - 1)
        share = (places - low).astype(np.float32)
        share = share[:, None] if axis == 0 else share
        result = result.take(low, axis) * (1 - share) + result.take(high, axis) * share
    return result.astype(np.float32, copy=False)


def _starts(length: int, tile: int, overlap: int) -> list[int]:
    if length <= tile:
        return [0]
    steps = -(-(length - tile) // (tile - overlap))
    return [min(step * (tile - overlap), length - tile) for step in range(steps + 1)]
