"""The defective regions of a mask, as boxes and areas in pixels of the inspected picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Region:
    """One connected part of a mask.

    Attributes:
        box: Left, top, width and height in pixels of the picture.
        area: Pixels of the picture that the mask covers there.
    """

    box: tuple[int, int, int, int]
    area: int


def find_regions(mask: NDArray[np.bool_], size: tuple[int, int]) -> tuple[Region, ...]:
    """Connected parts of a mask (8 neighbours), the largest first.

    The mask is stretched over the picture by nearest neighbours. A part that is smaller than a pixel of the picture
    counts as one.

    Args:
        mask: ``(h, w)`` bool, of any resolution.
        size: Height and width of the picture in pixels.

    Returns:
        One region for each part; of equal ones, the upper left first.

    Example:
        >>> mask = np.array([[1, 1, 0, 0], [0, 0, 0, 1]], dtype=bool)
        >>> find_regions(mask, (20, 40))
        (Region(box=(0, 0, 20, 10), area=200), Region(box=(30, 10, 10, 10), area=100))
    """
    rows, starts, ends = _runs(mask)
    if not rows.size:
        return ()
    labels = _label(rows, starts, ends, stride=mask.shape[1] + 2)
    top, left = (_edges(cells, pixels) for cells, pixels in zip(mask.shape, size, strict=True))
    count = int(labels.max()) + 1
    x0, y0, x1, y1 = (np.full(count, start) for start in (size[1], size[0], 0, 0))
    area = np.zeros(count, dtype=np.int64)
    np.minimum.at(x0, labels, left[starts])
    np.minimum.at(y0, labels, top[rows])
    np.maximum.at(x1, labels, left[ends])
    np.maximum.at(y1, labels, top[rows + 1])
    np.add.at(area, labels, (left[ends] - left[starts]) * (top[rows + 1] - top[rows]))
    x0, y0 = np.minimum(x0, size[1] - 1), np.minimum(y0, size[0] - 1)
    width, height, area = np.maximum(x1 - x0, 1), np.maximum(y1 - y0, 1), np.maximum(area, 1)
    order = np.lexsort((x0, y0, -area))
    return tuple(
        Region((int(x0[place]), int(y0[place]), int(width[place]), int(height[place])), int(area[place]))
        for place in order
    )


def _edges(cells: int, pixels: int) -> NDArray[np.int64]:
    """Where each cell begins, and the last ends, when a pixel belongs to the cell that its centre lies in."""
    return (2 * np.arange(cells + 1) * pixels + cells - 1) // (2 * cells)


def _runs(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Row, first column, and column after the last, of each horizontal run of true cells, in reading order."""
    padded = np.pad(mask, ((0, 0), (1, 1))).astype(np.int8)
    change = np.diff(padded, axis=1)
    rows, starts = np.nonzero(change == 1)
    return rows, starts, np.nonzero(change == -1)[1]


def _label(
    rows: NDArray[np.int64], starts: NDArray[np.int64], ends: NDArray[np.int64], *, stride: int
) -> NDArray[np.int64]:
    """The number of the connected part that each run belongs to, from 0."""
    first, last = rows * stride + starts, rows * stride + ends
    # Runs of the next row that touch this one, corners included, follow each other.
    begin, end = np.searchsorted(last, first + stride), np.searchsorted(first, last + stride, side="right")
    touching = np.maximum(end - begin, 0)
    upper = np.repeat(np.arange(rows.size), touching)
    lower = np.arange(touching.sum()) - np.repeat(np.cumsum(touching) - touching, touching) + begin[upper]
    root = np.arange(rows.size)
    while (root[upper] != root[lower]).any():
        smaller = np.minimum(root[upper], root[lower])
        np.minimum.at(root, root[upper], smaller)
        np.minimum.at(root, root[lower], smaller)
        while (root != root[root]).any():
            root = root[root]
    return np.unique(root, return_inverse=True)[1]
