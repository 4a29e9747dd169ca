"""Rows that are read from a store, as many of them kept in memory as may be."""

from __future__ import annotations

import hashlib
import json
import os
import weakref
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomalib_federated.patch_store.pictures import StoredPicture
from anomalib_federated.selection.rows import Rows

Features: TypeAlias = NDArray[np.floating[Any]]


class StoredRows(Rows):
    """The rows of some pictures of a store.

    While a caller computes on one block, the next is read. Files are read, not mapped: mapped pages would count as
    memory of the process.

    Args:
        path: File of the rows.
        pictures: Whose rows, in this order; at least one.
        dim: Features of a row.
        dtype: Type in which they are stored.
        resident_bytes: The first blocks are kept in memory, as many as fit into this.
    """

    def __init__(
        self, path: Path, pictures: Sequence[StoredPicture], *, dim: int, dtype: torch.dtype, resident_bytes: int = 0
    ) -> None:
        self.pictures = tuple(pictures)
        self._ends = np.cumsum([picture.rows for picture in pictures])
        super().__init__(int(self._ends[-1]), dim)
        # Added to a row's number among these rows, gives its number in the file.
        self._shifts = np.array([picture.first + picture.rows for picture in pictures]) - self._ends
        self._path = path
        self._dtype = np.dtype(str(dtype).removeprefix("torch."))
        self._file = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._file)
        # Memory is taken page by page as blocks are filled in.
        self._resident = torch.empty(min(len(self), max(0, resident_bytes) // (4 * dim)), dim)
        self._filled = 0

    @property
    def state(self) -> Path:
        """A file beside the rows, of a name that no other choice of pictures gives."""
        what = json.dumps([astuple(picture) for picture in self.pictures]).encode()
        return self._path.with_name(f"selection-{hashlib.sha256(what).hexdigest()[:16]}.safetensors")

    def where(self, row: int) -> str:
        """The row's number and its picture."""
        return f"row {row} (picture {self.pictures_of(torch.tensor([row]))[0].name})"

    def grid(self, picture: int) -> Tensor:
        """Features of one of :attr:`pictures`, by its number, on their grid: ``(rows, columns, d)``, float32."""
        stored = self.pictures[picture]
        loaded = np.empty((stored.rows, self.shape[1]), self._dtype)
        self._fill(loaded, stored.first)
        return torch.from_numpy(loaded).float().reshape(-1, stored.columns, self.shape[1])

    def pictures_of(self, rows: Tensor) -> list[StoredPicture]:
        """The picture that each of some rows is of."""
        return [self.pictures[number] for number in np.searchsorted(self._ends, rows.numpy(), side="right")]

    def read(self, rows: slice) -> Tensor:
        """Out of memory if they are kept there, else from the file."""
        if rows.stop <= self._filled:
            return self._resident[rows]
        shape = (rows.stop - rows.start, self.shape[1])
        return self._keep(rows, self._load(rows, np.empty(shape, self._dtype)), torch.empty(shape))

    def blocks(self) -> Iterator[tuple[slice, Tensor]]:
        """As of all rows; the next block is read while the caller computes on this one.

        A block is overwritten by the next: new memory comes from the system page by page, which takes several times as
        long as to read into it.
        """
        slices = self.slices()
        shape = (slices[0].stop, self.shape[1])
        raw, block = (np.empty(shape, self._dtype), np.empty(shape, self._dtype)), torch.empty(shape)
        with ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as reader:
            ahead = reader.submit(self._load_missing, slices[0], raw[0])
            for number, which in enumerate(slices):
                loaded = ahead.result()
                if number + 1 < len(slices):
                    ahead = reader.submit(self._load_missing, slices[number + 1], raw[(number + 1) % 2])
                yield which, self._resident[which] if loaded is None else self._keep(which, loaded, block)
        self.passes += 1

    def _load_missing(self, rows: slice, buffer: Features) -> Features | None:
        """The rows as stored, or nothing if they are kept in memory."""
        return None if rows.stop <= self._filled else self._load(rows, buffer)

    def _keep(self, rows: slice, loaded: Features, buffer: Tensor) -> Tensor:
        """Rows in float32: in memory that keeps them if they are the next to be kept, else in the buffer."""
        kept = rows.start == self._filled and rows.stop <= len(self._resident)
        block = self._resident[rows] if kept else buffer[: len(loaded)]
        block.copy_(torch.from_numpy(loaded))
        if kept:
            self._filled = rows.stop
        return block

    def take(self, indices: Tensor) -> Tensor:
        """Out of memory where they are kept there, else from the file, in the order in which they lie in it."""
        indices = indices.cpu()
        taken = torch.empty(len(indices), self.shape[1])
        resident = indices < self._filled
        taken[resident] = self._resident[indices[resident]]
        taken[~resident] = torch.from_numpy(self._load_single(indices[~resident].numpy())).float()
        return taken

    def _load(self, rows: slice, buffer: Features) -> Features:
        """Rows that follow each other, picture by picture."""
        loaded = buffer[: rows.stop - rows.start]
        row = rows.start
        for picture in range(int(np.searchsorted(self._ends, row, side="right")), len(self.pictures)):
            if row >= rows.stop:
                break
            stop = min(rows.stop, int(self._ends[picture]))
            self._fill(loaded[row - rows.start : stop - rows.start], row + int(self._shifts[picture]))
            row = stop
        return loaded

    def _load_single(self, rows: NDArray[np.int64]) -> Features:
        in_file = rows + self._shifts[np.searchsorted(self._ends, rows, side="right")]
        distinct, back = np.unique(in_file, return_inverse=True)
        loaded = np.empty((len(distinct), self.shape[1]), self._dtype)
        # Neighbours are read in one go.
        bounds = np.flatnonzero(np.diff(distinct, prepend=-2, append=-2) != 1)
        for begin, end in pairwise(bounds):
            self._fill(loaded[begin:end], int(distinct[begin]))
        return loaded[back]

    def _fill(self, rows: Features, first: int) -> None:
        rest, offset = rows.reshape(-1).view(np.uint8).data, first * self.shape[1] * self._dtype.itemsize
        while rest:
            count = os.preadv(self._file, [rest], offset)
            if count == 0:
                msg = f"{self._path} was cut off while it was read; remove its folder and extract anew."
                raise OSError(msg)
            rest, offset = rest[count:], offset + count
