"""One category's patch features in a folder, so that they need no memory and survive the process.

The folder holds ``store.json`` (what the features are), ``features.bin`` (rows, one after the other, in the machine's
byte order) and ``pictures.jsonl`` (which picture has how many of them). A picture's line is written after its rows, so
whatever moment a process is killed at, opening the folder again finds every picture that was finished, and no other.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import shutil
import weakref
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from anomalib_federated.bank import FeatureSpace
from anomalib_federated.files import write_file
from anomalib_federated.patch_store.pictures import Identity, StoredPicture, StoreError, read_pictures
from anomalib_federated.patch_store.stored_rows import StoredRows

logger = logging.getLogger(__name__)

FORMAT = 2
DTYPES = {"float16": torch.float16, "float32": torch.float32}
FEATURES, PICTURES, HEADER = "features.bin", "pictures.jsonl", "store.json"
_STATES = "selection-*.safetensors"
_open: weakref.WeakSet[PatchStore] = weakref.WeakSet()


class PatchStore:
    """Features of one category's pictures; a folder that is there is continued.

    Args:
        folder: Where; made if it is missing.
        space: Feature space of all that is added.
        dtype: ``float16`` (half the disk) or ``float32``.
        reading: How pictures are read before the model sees them; features of pictures read otherwise are others.

    Raises:
        StoreError: If the folder holds something else, features of other settings, or is in use.
        OSError: If it cannot be written.

    Example:
        >>> from anomalib_federated.testing import example_bank
        >>> folder, space = getfixture("tmp_path"), example_bank().space
        >>> store = PatchStore(folder, space)
        >>> store.add("a.png", Identity(0, 0), torch.ones(3, space.dim))
        >>> store.close()
        >>> PatchStore(folder, space).rows(["a.png"]).shape == (3, space.dim)
        True
    """

    def __init__(self, folder: Path, space: FeatureSpace, *, dtype: str = "float16", reading: str = "") -> None:
        if dtype not in DTYPES:
            msg = f"store_dtype is {dtype!r}; give one of {', '.join(DTYPES)}."
            raise ValueError(msg)
        self.folder, self.space, self.dtype = folder, space, DTYPES[dtype]
        header = {"format": FORMAT, "dtype": dtype, "reading": reading, "space": asdict(space)}
        try:
            _check_or_write_header(folder, header, space)
            self._file = os.open(folder / FEATURES, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            msg = f"The feature store {folder} cannot be opened ({error.strerror}); name a folder that can be written."
            raise OSError(msg) from error
        self._close = weakref.finalize(self, os.close, self._file)
        _open.add(self)
        self._lock()
        self._pictures: dict[str, StoredPicture] = {}
        self._rows = 0
        self._recover()

    @property
    def size(self) -> int:
        """Bytes of the features on disk."""
        return self._rows * self._row_bytes

    def holds(self, picture: str, identity: Identity) -> bool:
        """Whether the features of a picture are there, and its file has not changed since."""
        stored = self._pictures.get(picture)
        return stored is not None and stored.identity == identity

    def add(self, picture: str, identity: Identity, rows: Tensor, *, columns: int = 1) -> None:
        """Store a picture's features; those of an earlier version of its file are no longer used.

        Args:
            picture: Name of the picture.
            identity: Its file.
            rows: Features of shape ``(m, d)``, ``m >= 1``, floating dtype, on any device.
            columns: Of the grid of patches that the rows are, line by line.

        Raises:
            ValueError: If they are not finite, too large for the store's dtype, or no grid of so many columns.
            OSError: If they cannot be written; all that was stored before is kept.
        """
        if rows.ndim != 2 or rows.shape[1] != self.space.dim or not len(rows) or not rows.is_floating_point():
            msg = f"Features of {picture} must be (m, {self.space.dim}), got {tuple(rows.shape)} {rows.dtype}."
            raise ValueError(msg)
        if columns < 1 or len(rows) % columns:
            msg = f"The {len(rows)} features of {picture} are no grid of {columns} columns."
            raise ValueError(msg)
        data = self._convert(picture, rows)
        stored = StoredPicture(picture, identity, self._rows, len(rows), columns)
        try:
            for state in self.folder.glob(_STATES):
                state.unlink()
            _append(self._file, data)
            with (self.folder / PICTURES).open("ab", buffering=0) as lines:
                _append(lines.fileno(), stored.line())
        except OSError as error:
            self._recover()
            free = shutil.disk_usage(self.folder).free
            msg = (
                f"The features of {picture} cannot be written to {self.folder} ({error.strerror}): they need "
                f"{len(data)} bytes, {free} are free. Features stored before are kept; mend this and run again."
            )
            raise OSError(msg) from error
        self._pictures[picture] = stored
        self._rows += len(rows)

    def rows(self, pictures: Iterable[str], *, resident_bytes: int = 0) -> StoredRows:
        """The rows of some pictures, in the order of the pictures' names, whatever order they came in.

        Args:
            pictures: Names of pictures that the store holds.
            resident_bytes: Memory in which rows may be kept.
        """
        chosen = [self._pictures[name] for name in sorted(set(pictures))]
        return StoredRows(
            self.folder / FEATURES, chosen, dim=self.space.dim, dtype=self.dtype, resident_bytes=resident_bytes
        )

    def count(self, pictures: Iterable[str]) -> int:
        """Number of rows of some pictures that the store holds."""
        return sum(self._pictures[name].rows for name in set(pictures))

    def close(self) -> None:
        """Let go of the folder; the store cannot be used any more."""
        self._close()

    @property
    def _row_bytes(self) -> int:
        return self.space.dim * self.dtype.itemsize

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.close()
            msg = f"The feature store {self.folder} is in use by another run; wait for its end, or name another folder."
            raise StoreError(msg) from error

    def _recover(self) -> None:
        """Find what is there, and cut off what was not finished."""
        lines, held = self.folder / PICTURES, os.fstat(self._file).st_size
        lines.touch()
        pictures, size = read_pictures(lines, stored_rows=held // self._row_bytes)
        self._pictures = {picture.name: picture for picture in pictures}
        self._rows = pictures[-1].first + pictures[-1].rows if pictures else 0
        if lines.stat().st_size > size or held > self.size:
            logger.info("%s: the picture that was being written is cut off", self.folder)
            os.truncate(lines, size)
            os.ftruncate(self._file, self.size)

    def _convert(self, picture: str, rows: Tensor) -> memoryview:
        converted = rows.detach().to("cpu", self.dtype).contiguous()
        if not bool(torch.isfinite(converted).all()):
            if not bool(torch.isfinite(rows).all()):
                msg = f"Training picture {picture} gives NaN or infinite features; leave it out."
                raise ValueError(msg)
            largest = float(rows.abs().max())
            msg = f"A feature of {picture} is {largest:.3g}, too large for float16; set store_dtype to float32."
            raise ValueError(msg)
        return converted.numpy().reshape(-1).view(np.uint8).data


def _close_all() -> None:
    for store in list(_open):
        store.close()


# A worker that outlives its killed parent for a while must not keep the parent's locks.
os.register_at_fork(after_in_child=_close_all)


def _check_or_write_header(folder: Path, header: dict[str, object], space: FeatureSpace) -> None:
    path = folder / HEADER
    if not path.exists():
        if any((folder / name).exists() for name in (FEATURES, PICTURES)):
            msg = f"{folder} holds features without {HEADER}, which says what they are; remove the folder."
            raise StoreError(msg)
        write_file(path, json.dumps(header, indent=1).encode())
        return
    if differing := _differences(path, header, space):
        msg = f"The feature store {folder} is of other settings: {differing}; remove it, or name another folder."
        raise StoreError(msg)


def _differences(path: Path, header: dict[str, object], space: FeatureSpace) -> str:
    try:
        found = json.loads(path.read_bytes())
        its_space = FeatureSpace.from_dict(found["space"])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        msg = f"{path} is not the header of a feature store ({error}); remove its folder."
        raise StoreError(msg) from error
    differing = [
        f"{field} is {found.get(field)!r} and {header[field]!r}"
        for field in ("format", "dtype", "reading")
        if found.get(field) != header[field]
    ]
    return ", ".join([*differing, *filter(None, [its_space.differences(space)])])


def _append(file: int, data: bytes | memoryview) -> None:
    """Write all of it, and have it on disk before anything else is written."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]
    os.fsync(file)
