"""Writing files that are there whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A file to write beside another, whose place it takes if all goes well; missing folders are made.

    Args:
        path: File to write; one that is there is replaced.

    Yields:
        The file beside it, to be made by whoever asked.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        yield beside
        _sync(beside)  # else a power cut after the rename could leave an empty file of this name
        beside.replace(path)
        _sync(path.parent)
    finally:
        beside.unlink(missing_ok=True)


def write_file(path: Path, data: bytes) -> Path:
    """Write beside and rename; missing folders are made.

    Args:
        path: File to write; one that is there is replaced.
        data: Its content.

    Returns:
        The path.
    """
    with whole_file(path) as beside:
        beside.write_bytes(data)
    return path


def _sync(path: Path) -> None:
    """Have a file, or the renames in a folder, survive a power cut."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
