"""Writing files that are there whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def write_file(path: Path, data: bytes) -> Path:
    """Write beside and rename; missing folders are made.

    Args:
        path: File to write; one that is there is replaced.
        data: Its content.

    Returns:
        The path.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # else a power cut after the rename could leave an empty file of this name
        beside.replace(path)
        _sync(path.parent)
    finally:
        beside.unlink(missing_ok=True)
    return path


def _sync(folder: Path) -> None:
    """Have a rename in a folder survive a power cut."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
