"""A file to which lines are only ever added, and each is on the disk before anything goes on."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, TypeVar

ParsedT = TypeVar("ParsedT")


class LinesLostError(RuntimeError):
    """A file of lines became shorter while it was in use."""


class LineFile:
    """A file that several processes may read while one writes, which :func:`sole_writer` sees to.

    Args:
        path: The file.

    Example:
        >>> path = getfixture("tmp_path") / "lines"
        >>> path.touch()
        >>> LineFile(path).append(b"first")
        >>> _ = path.write_bytes(path.read_bytes() + b"half a li")
        >>> LineFile(path).read(lambda line, number: (number, line))
        [(1, b'first')]
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read = 0  # bytes, all of whole lines
        self._lines = 0

    def read(self, parse: Callable[[bytes, int], ParsedT]) -> list[ParsedT]:
        """The lines that were added since the last call.

        A last line without its end is being written, or its writer died: it does not count.

        Args:
            parse: Reads a line, given without its end and with its number in the file, from 1. What it raises is
                passed on, and then the same lines come again at the next call.

        Raises:
            LinesLostError: If lines have vanished.
            FileNotFoundError: If there is no such file.
        """
        with self.path.open("rb") as file:
            if os.fstat(file.fileno()).st_size < self._read:
                msg = f"{self.path} has lost lines while it was in use; leave the file to anomalib-federated."
                raise LinesLostError(msg)
            file.seek(self._read)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        parsed = [parse(line, number) for number, line in enumerate(whole.split(b"\n")[:-1], start=self._lines + 1)]
        self._read += len(whole)
        self._lines += len(parsed)
        return parsed

    def append(self, line: bytes) -> None:
        """Add a line, which has no end yet; only one process at a time may.

        Raises:
            OSError: If it cannot be written, and then it does not count.
        """
        with self.path.open("r+b") as file:
            file.truncate(_end_of_whole_lines(file))
            file.seek(0, os.SEEK_END)
            file.write(line + b"\n")
            file.flush()
            os.fsync(file.fileno())


def _end_of_whole_lines(file: BinaryIO) -> int:
    """Where the last whole line ends; what a writer that died, or a full disk, left of another lies behind it."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 1))
    if file.read() in {b"", b"\n"}:
        return size
    file.seek(0)
    return file.read().rfind(b"\n") + 1
