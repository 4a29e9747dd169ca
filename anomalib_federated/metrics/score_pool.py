"""Very many scores in little memory, and how many of them lie above or at a given score, exactly.

A float32 score is kept as the lower 16 bits of its rank-preserving integer, grouped by the upper 16 bits: two bytes a
score. Grouping is one counting sort; only the groups that hold a queried score are ever sorted, by 16
bits again, which costs less than half of what sorting the floats would.

Example:
    >>> import numpy as np
    >>> from anomalib_federated.metrics.score_pool import ScorePool, count_above_and_tied
    >>> pool = ScorePool()
    >>> pool.add(np.array([1, 2, 2, 3], dtype=np.float32))
    >>> above, tied = count_above_and_tied([pool], np.array([2.0, 2.5], dtype=np.float32))
    >>> above.tolist(), tied.tolist()
    ([1, 1], [2, 0])
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csc_array

Scores = npt.NDArray[Any]
Counts = npt.NDArray[np.int64]

_CHUNK_SCORES = 1 << 18  # larger ones wait for memory, page by page
_CHUNKS_AT_ONCE = 128  # bounds the memory of a group that holds every score, such as a constant background
_GROUPS = 1 << 16


def rankable(scores: Scores) -> Scores:
    """The scores in the narrowest dtype that a pool keeps and that rounds none of them.

    Args:
        scores: Real numbers of any shape.

    Returns:
        float32 for what is no wider than 16 bits and for float32 itself, float64 for 32-bit integers and float64, int64
        and uint64 as they are; in native byte order, the same array where nothing is to be done.

    Raises:
        TypeError: If they are no real numbers of at most 64 bits.
    """
    dtype = scores.dtype
    if dtype.kind not in "biuf" or dtype.itemsize > 8:
        msg = f"scores must be real numbers of at most 64 bits, got dtype {dtype}"
        raise TypeError(msg)
    if dtype.itemsize == 8 and dtype.kind in "iu":
        return scores.astype(dtype.newbyteorder("="), copy=False)
    narrow = dtype.itemsize <= 2 or (dtype.kind == "f" and dtype.itemsize == 4)
    return scores.astype(np.float32 if narrow else np.float64, copy=False)


def check_comparable(dtypes: frozenset[np.dtype[Any]], where: str) -> None:
    """Refuse scores that cannot be compared without rounding.

    Args:
        dtypes: What :func:`rankable` made of them.
        where: What they are, to begin the message with.

    Raises:
        ValueError: If 64-bit integers are among other dtypes.
    """
    # numpy compares 64-bit integers with other kinds in float64, which would round and invent ties.
    if len(dtypes) > 1 and any(dtype.kind in "iu" for dtype in dtypes):
        names = ", ".join(sorted(map(str, dtypes)))
        msg = f"{where}: scores of {names} cannot be ranked exactly; use one dtype for all maps"
        raise ValueError(msg)


@dataclass(frozen=True, eq=False)
class _Chunk:
    """Scores of one dtype: group after group, the last parts of their keys in any order."""

    dtype: np.dtype[Any]
    groups: npt.NDArray[np.uint16]  # ascending
    ends: npt.NDArray[np.int32]  # in ``tails``, of each group
    tails: Scores

    def extents(self, groups: npt.NDArray[np.uint16]) -> npt.NDArray[np.int32]:
        """Where the scores of each of the groups begin and end, shape ``(2, n)``; the same twice if there is none."""
        index = np.minimum(np.searchsorted(self.groups, groups), len(self.groups) - 1)
        ends = self.ends[index]
        starts = np.where(index > 0, self.ends[index - 1], 0)
        return np.stack([np.where(self.groups[index] == groups, starts, ends), ends]).astype(np.int32)


class ScorePool:
    """Scores to be counted later. Adding is cheap, and the order of adding does not matter."""

    def __init__(self) -> None:
        self._chunks: list[_Chunk] = []
        self._waiting: list[Scores] = []
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, scores: Scores) -> None:
        """Add scores.

        Args:
            scores: Finite numbers of shape ``(n,)`` in a dtype that :func:`rankable` returns. The pool may keep the
                array for a while, so it must not be written to afterwards.
        """
        if not len(scores):
            return
        if self._waiting and self._waiting[0].dtype != scores.dtype:
            self._pack(1)
        self._waiting.append(scores)
        self._size += len(scores)
        if sum(map(len, self._waiting)) >= _CHUNK_SCORES:
            self._pack(_CHUNK_SCORES)

    def chunks(self) -> list[_Chunk]:
        """All scores, packed."""
        self._pack(1)
        return self._chunks

    def _pack(self, least: int) -> None:
        """Pack what waits, but let less than ``least`` scores wait on."""
        if not self._waiting:
            return
        waiting = np.concatenate(self._waiting)
        while len(waiting) >= least:
            self._chunks.append(_packed(waiting[:_CHUNK_SCORES]))
            waiting = waiting[_CHUNK_SCORES:]
        self._waiting = [waiting.copy()] if len(waiting) else []


def count_above_and_tied(pools: Sequence[ScorePool], queries: Scores) -> tuple[Counts, Counts]:
    """How many scores of all pools lie above each query, and how many equal it.

    Args:
        pools: The pools.
        queries: Finite scores of shape ``(n,)``, in a dtype that :func:`rankable` returns.

    Returns:
        Two int64 arrays of shape ``(n,)``.

    Notes:
        One pass over the groups that hold a query; about 60 bytes of memory a query while it runs.
    """
    distinct, where = np.unique(queries, return_inverse=True)
    chunks = [chunk for pool in pools for chunk in pool.chunks()]
    below, not_above = np.zeros((2, len(distinct)), dtype=np.int64)
    for dtype in dict.fromkeys(chunk.dtype for chunk in chunks):
        floor, ceiling = _neighbours(distinct, dtype)
        of_dtype = [chunk for chunk in chunks if chunk.dtype == dtype]
        for start in range(0, len(of_dtype), _CHUNKS_AT_ONCE):
            some = of_dtype[start : start + _CHUNKS_AT_ONCE]
            first, second = _counts(some, _keys(ceiling), _keys(floor))
            below += first
            not_above += second
    above = sum(map(len, pools)) - not_above
    return above[where], (not_above - below)[where]


def _neighbours(queries: Scores, dtype: np.dtype[Any]) -> tuple[Scores, Scores]:
    """The greatest numbers of the dtype that are no greater than the queries, and the least that are no less."""
    if queries.dtype == dtype:
        return queries, queries
    with np.errstate(over="ignore"):
        nearest = queries.astype(dtype)
    floor = np.where(nearest > queries, np.nextafter(nearest, dtype.type(-np.inf)), nearest)
    return floor, np.where(nearest < queries, np.nextafter(nearest, dtype.type(np.inf)), nearest)


def _keys(scores: Scores) -> Scores:
    """Unsigned integers in the same order, equal where the scores are."""
    width = scores.dtype.itemsize
    unsigned, signed = np.dtype(f"u{width}"), np.dtype(f"i{width}")
    top = unsigned.type(1 << (8 * width - 1))
    bits: Scores = scores
    if scores.dtype.kind == "i":
        bits = scores.view(unsigned) ^ top
    elif scores.dtype.kind == "f":
        bits = (scores + scores.dtype.type(0)).view(unsigned)  # -0.0 + 0 is 0.0, its equal
        negative = (bits.view(signed) >> signed.type(8 * width - 1)).view(unsigned)
        bits ^= negative | top
    return bits


def _split(keys: Scores) -> tuple[npt.NDArray[np.uint16], Scores]:
    """Group of each key, and what tells keys of one group apart: 16 bits of a 32-bit key, a 64-bit key as it is."""
    shift = keys.dtype.type(8 * keys.dtype.itemsize - 16)
    return (keys >> shift).astype(np.uint16), keys.astype(np.uint16) if keys.dtype.itemsize == 4 else keys


def _packed(scores: Scores) -> _Chunk:
    groups, tails = _split(_keys(scores))
    # A sparse matrix with one entry a column, turned from columns to rows: a counting sort, several times as fast as
    # any sort of numpy.
    columns = np.arange(len(scores) + 1, dtype=np.int32)
    rows = csc_array((tails, groups.astype(np.int32), columns), shape=(_GROUPS, len(scores))).tocsr()
    present = np.flatnonzero(np.diff(rows.indptr))
    return _Chunk(scores.dtype, present.astype(np.uint16), rows.indptr[present + 1], rows.data)


def _counts(chunks: Sequence[_Chunk], below: Scores, not_above: Scores) -> tuple[Counts, Counts]:
    """How many keys of the chunks are below the first keys, and how many not above the second; both ascend."""
    sizes = np.zeros(_GROUPS, dtype=np.int64)
    for chunk in chunks:
        sizes[chunk.groups] += np.diff(chunk.ends, prepend=0)
    before = np.cumsum(sizes) - sizes
    (groups, tails), (other_groups, other_tails) = _split(below), _split(not_above)
    counts, other_counts = before[groups], before[other_groups]
    queried = np.union1d(groups, other_groups)
    bounds = _bounds(groups, queried)
    other_bounds = _bounds(other_groups, queried)
    for index, members in enumerate(_members(chunks, queried)):
        if len(members):
            part, other = slice(*bounds[index : index + 2]), slice(*other_bounds[index : index + 2])
            counts[part] += members.searchsorted(tails[part], "left")
            other_counts[other] += members.searchsorted(other_tails[other], "right")
    return counts, other_counts


def _bounds(groups: npt.NDArray[np.uint16], queried: npt.NDArray[np.uint16]) -> list[int]:
    return [*np.searchsorted(groups, queried).tolist(), len(groups)]


def _members(chunks: Sequence[_Chunk], groups: npt.NDArray[np.uint16]) -> Iterator[Scores]:
    """The tails of each group in all chunks, sorted."""
    starts, ends = np.stack([chunk.extents(groups) for chunk in chunks], axis=2)
    for of_group in zip(starts, ends, strict=True):
        extents = zip(chunks, *(bounds.tolist() for bounds in of_group), strict=True)
        parts = [chunk.tails[start:end] for chunk, start, end in extents if start < end]
        members = np.concatenate(parts or [chunks[0].tails[:0]])
        # For 16-bit integers numpy's stable sort is a radix sort, far faster than its others on some processors.
        members.sort(kind="stable" if members.dtype == np.uint16 else "quicksort")
        yield members
