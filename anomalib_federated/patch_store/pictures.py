"""The list of pictures whose features a store holds: one line of JSON each, appended once the features are on disk."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path


class StoreError(ValueError):
    """A store on disk is malformed, in use, or of other settings."""


@dataclass(frozen=True)
class Identity:
    """What tells whether a picture's file is still the same.

    Attributes:
        size: Bytes.
        mtime_ns: Time of its last change, nanoseconds since 1970.
    """

    size: int
    mtime_ns: int

    @classmethod
    def of_file(cls, path: Path) -> Identity:
        """The identity of a file."""
        status = path.stat()
        return cls(status.st_size, status.st_mtime_ns)


@dataclass(frozen=True)
class StoredPicture:
    """A picture and where its rows lie.

    Attributes:
        name: Its name.
        identity: Its file, when the features were extracted.
        first: Number of its first row in the store's file.
        rows: How many rows it has.
        columns: Of the grid of patches that these rows are, line by line.
    """

    name: str
    identity: Identity
    first: int
    rows: int
    columns: int = 1

    def line(self) -> bytes:
        """The picture's line; ``first`` follows from the lines before it."""
        values = {"name": self.name, **asdict(self.identity), "rows": self.rows, "columns": self.columns}
        return json.dumps(values, sort_keys=True).encode() + b"\n"


def read_pictures(path: Path, *, stored_rows: int) -> tuple[list[StoredPicture], int]:
    """Read the list as far as it is whole.

    Args:
        path: The list.
        stored_rows: Whole rows that the store's file holds.

    Returns:
        The pictures whose line and rows are there, and the bytes of their lines; what follows was being written when
        the process ended.

    Raises:
        StoreError: If a line before the last is not a picture.
    """
    pictures: list[StoredPicture] = []
    first = size = 0
    lines = path.read_bytes().splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        picture = _parse(line, first=first)
        if picture is None and number < len(lines):
            msg = f"Line {number} of {path} is not a picture; remove the folder {path.parent} and extract anew."
            raise StoreError(msg)
        if picture is None or first + picture.rows > stored_rows:
            break
        pictures.append(picture)
        first, size = first + picture.rows, size + len(line)
    return pictures, size


def _parse(line: bytes, *, first: int) -> StoredPicture | None:
    if not line.endswith(b"\n"):
        return None
    try:
        values = json.loads(line)
    except ValueError:
        return None
    if not isinstance(values, dict) or set(values) != {"name", "size", "mtime_ns", "rows", "columns"}:
        return None
    size, changed, rows, columns = values["size"], values["mtime_ns"], values["rows"], values["columns"]
    if not isinstance(values["name"], str) or not all(type(number) is int for number in (size, changed, rows, columns)):
        return None
    if rows < 1 or columns < 1 or rows % columns:
        return None
    return StoredPicture(values["name"], Identity(size, changed), first, rows, columns)
