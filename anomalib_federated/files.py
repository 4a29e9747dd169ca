"""Writing files and folders that are there whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
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


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A folder to fill beside another, whose place it takes if all goes well; missing folders are made.

    Args:
        path: Folder to write; one that is there is replaced, and stays as it was if something goes wrong. Between the
            two renames there is none for a moment; a mixture of both never is.

    Yields:
        The folder beside it, empty.

    Example:
        >>> root = getfixture("tmp_path") / "bundle"
        >>> with whole_folder(root) as fresh:
        ...     _ = (fresh / "a.txt").write_text("a")
        ...     root.exists()
        False
        >>> [file.name for file in root.iterdir()]
        ['a.txt']
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    token = secrets.token_hex(4)
    fresh, replaced = (path.with_name(f".{path.name}.{token}.{kind}") for kind in ("new", "old"))
    fresh.mkdir()
    try:
        yield fresh
        for inside in (*fresh.rglob("*"), fresh):
            _sync(inside)
        if path.exists():
            path.rename(replaced)
        fresh.rename(path)
        _sync(path.parent)
    finally:
        if replaced.exists() and not path.exists():
            replaced.rename(path)
        for leftover in (fresh, replaced):
            shutil.rmtree(leftover, ignore_errors=True)


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
