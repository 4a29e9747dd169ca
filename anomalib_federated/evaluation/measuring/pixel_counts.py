"""How often each image scores what in its pixels: all that resampling images needs to know of their maps.

A float32 score becomes an integer of the same order (its bits, mirrored below 0), of which low bits are dropped: bins
of equal relative width, common to all images. An image keeps the counts of the bins that it uses: of the pixels free of
every defect, of those of any defect, and of each channel. When all images together use too many bins, one more bit is
dropped everywhere; so memory is bounded, and the bins do not depend on the order of the images.

For the resampling itself, the bins are joined to some thousand cells, finest where false positives are few. At the
edges of a cell every count is exact; inside a cell scores count as tied.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from anomalib_federated.evaluation.measuring.scored_image import ScoredImage

Keys = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]

FIRST_SHIFT = 4
"""Bits dropped at first: half a million bins per doubling of the score."""

MOST_ENTRIES = 3_000_000
"""Counts that are kept, of eight bytes each."""

CELLS = 2048
"""Cells by false positive rate, and as many by share of the defects' pixels."""


@dataclass(frozen=True, eq=False)
class Histogram:
    """Bins in use, ascending, and their counts, both of shape ``(n,)``."""

    keys: Keys
    counts: npt.NDArray[np.integer[Any]]

    def coarser(self) -> Histogram:
        """The same with one more bit dropped."""
        keys = self.keys >> 1
        first = np.flatnonzero(np.diff(keys, prepend=keys[0] - 1)) if len(keys) else np.arange(0)
        return Histogram(keys[first], np.add.reduceat(self.counts, first) if len(keys) else self.counts)


@dataclass(frozen=True, eq=False)
class _Image:
    """Counts of one image; ``areas`` are the saturation areas of its channels."""

    free: Histogram
    covered: Histogram
    channels: tuple[Histogram, ...]
    areas: tuple[int, ...]

    def parts(self) -> tuple[Histogram, ...]:
        return (self.free, self.covered, *self.channels)

    def coarser(self) -> _Image:
        channels = tuple(channel.coarser() for channel in self.channels)
        return _Image(self.free.coarser(), self.covered.coarser(), channels, self.areas)


@dataclass(frozen=True, eq=False)
class PixelGrid:
    """Counts of ``n`` images in ``c`` common cells, from the highest scores to the lowest; float32.

    Attributes:
        free: Pixels free of every defect, ``(n, c)``.
        rows: Which of the images have defects, ``(d,)``.
        covered: Their pixels of any defect, ``(d, c)``.
        spro: Sum of the saturated overlaps of their channels at the lower edge of each cell, ``(d, c)``.
        channels: Their numbers of channels, ``(d,)``.
    """

    free: Floats
    rows: npt.NDArray[np.intp]
    covered: Floats
    spro: Floats
    channels: Floats

    def of(self, positions: npt.NDArray[np.intp]) -> PixelGrid:
        """The counts of some of the images, in the order of ``positions``, shape ``(m,)``, each of them once."""
        place = np.full(len(self.free), -1, dtype=np.intp)
        place[positions] = np.arange(len(positions))
        (own,) = np.nonzero(place[self.rows] >= 0)
        return PixelGrid(
            free=self.free[positions],
            rows=place[self.rows[own]],
            covered=self.covered[own],
            spro=self.spro[own],
            channels=self.channels[own],
        )


class PixelCounts:
    """Collects the counts, image by image.

    Args:
        most_entries: Counts that are kept in all.
        cells: See :data:`CELLS`.
    """

    def __init__(self, *, most_entries: int = MOST_ENTRIES, cells: int = CELLS) -> None:
        self._most_entries = most_entries
        self._cells = cells
        self._images: list[_Image] = []
        self._entries = 0
        self._shift = FIRST_SHIFT

    def add(self, scored: ScoredImage) -> None:
        """Add an image; one without masks counts as free of defects."""
        keys = ordered_keys(scored.anomaly_map) >> self._shift
        defects = scored.defects or ()
        covered = scored.covered()
        image = _Image(
            free=_histogram(keys[~covered]),
            covered=_histogram(keys[covered]),
            channels=tuple(_histogram(keys[defect.mask]) for defect in defects),
            areas=tuple(defect.saturation_area for defect in defects),
        )
        self._images.append(image)
        self._entries += _entries(image)
        while self._entries > self._most_entries and self._shift < 31:
            self._shift += 1
            self._images = [image.coarser() for image in self._images]
            self._entries = sum(map(_entries, self._images))

    def grid(self, *, cells: int | None = None) -> PixelGrid:
        """The counts of all images in common cells, images in the order in which they were added.

        Args:
            cells: See :data:`CELLS`; ``None`` takes those of the constructor.
        """
        edges = self._edges(cells or self._cells)
        count = len(edges)
        rows = [position for position, image in enumerate(self._images) if image.areas]
        grid = PixelGrid(
            free=np.zeros((len(self._images), count), dtype=np.float32),
            rows=np.array(rows, dtype=np.intp),
            covered=np.zeros((len(rows), count), dtype=np.float32),
            spro=np.zeros((len(rows), count), dtype=np.float32),
            channels=np.array([len(self._images[row].areas) for row in rows], dtype=np.float32),
        )
        for position, image in enumerate(self._images):
            grid.free[position] = _in_cells(image.free, edges)
        for position, row in enumerate(rows):
            image = self._images[row]
            grid.covered[position] = _in_cells(image.covered, edges)
            for channel, area in zip(image.channels, image.areas, strict=True):
                grid.spro[position] += np.minimum(np.cumsum(_in_cells(channel, edges)) / area, 1)
        return grid

    def _edges(self, cells: int) -> Keys:
        """The lowest key of each cell, ascending."""
        free = _pooled([image.free for image in self._images])
        covered = _pooled([image.covered for image in self._images])
        keys = np.union1d(free.keys, covered.keys)[::-1]
        # Steps of the cube root of the false positive rate are short where it is small, which is what is scored.
        steps = np.floor(np.cbrt(_share_above(free, keys)) * cells)
        own = np.floor(_share_above(covered, keys) * cells)
        last = np.flatnonzero((np.diff(steps) != 0) | (np.diff(own) != 0))
        edges: Keys = np.append(keys[last], keys[-1:])[::-1]
        return edges


def ordered_keys(scores: npt.NDArray[np.float32]) -> Keys:
    """Integers in the order of float32 scores, equal where these are equal.

    Example:
        >>> ordered_keys(np.array([-1.0, -0.0, 0.0, 1.0], dtype=np.float32)).tolist()
        [-1065353217, 0, 0, 1065353216]
    """
    bits = (scores + np.float32(0)).view(np.int32)  # adding 0 turns -0 into 0
    return np.where(bits < 0, bits ^ np.int32(0x7FFFFFFF), bits)


def _histogram(keys: Keys) -> Histogram:
    if keys.size == 0:
        return Histogram(np.empty(0, np.int32), np.empty(0, np.int32))
    lowest = int(keys.min())
    if int(keys.max()) - lowest < 4 * keys.size:  # counting is faster than sorting
        counts = np.bincount(keys - lowest)
        used = np.flatnonzero(counts)
        return Histogram((used + lowest).astype(np.int32), counts[used].astype(np.int32))
    values, counts = np.unique(keys, return_counts=True)
    return Histogram(values, counts.astype(np.int32))


def _pooled(parts: list[Histogram]) -> Histogram:
    """Bins of all parts, with counts as int64."""
    every = np.concatenate([part.keys for part in parts])
    counts = np.concatenate([part.counts for part in parts]).astype(np.int64)
    order = np.argsort(every, kind="stable")
    keys = every[order]
    first = np.flatnonzero(np.append(True, keys[1:] != keys[:-1])) if len(keys) else np.arange(0)
    return Histogram(keys[first], np.add.reduceat(counts[order], first) if len(keys) else counts)


def _share_above(pooled: Histogram, keys: Keys) -> npt.NDArray[np.float64]:
    """Share of the counts at or above each key; 0 if there are none."""
    above = np.append(np.cumsum(pooled.counts[::-1])[::-1], 0)
    share: npt.NDArray[np.float64] = above[np.searchsorted(pooled.keys, keys)] / max(int(above[0]), 1)
    return share


def _in_cells(histogram: Histogram, edges: Keys) -> npt.NDArray[np.float64]:
    """Counts per cell, from the highest scores to the lowest."""
    cells = len(edges) - np.searchsorted(edges, histogram.keys, side="right")
    return np.bincount(cells, weights=histogram.counts, minlength=len(edges)).astype(np.float64, copy=False)


def _entries(image: _Image) -> int:
    return sum(len(part.keys) for part in image.parts())
