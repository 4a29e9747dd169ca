"""The journal of a federation folder: lines are only ever added, and each is on the disk before anything goes on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from pydantic import ValidationError

from anomalib_federated.federation.folder.errors import FolderError, first_problem
from anomalib_federated.federation.folder.events import FORMAT, Event, from_line, to_line
from anomalib_federated.untrusted import read_json, shown


class Journal:
    """A file of events that several processes may read while one writes.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._read = 0  # bytes, all of whole lines
        self._lines = 0

    def read(self) -> list[Event]:
        """The events that were added since the last call.

        A last line without its end is being written, or its writer died: it does not count.

        Raises:
            FolderError: If the file was written by another version, a line is no event, or lines have vanished.
        """
        with self.path.open("rb") as file:
            if os.fstat(file.fileno()).st_size < self._read:
                msg = f"{self.path} has lost lines while it was in use; leave the file to anomalib-federated."
                raise FolderError(msg)
            file.seek(self._read)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        events = [
            self._parse(line, number) for number, line in enumerate(whole.split(b"\n")[:-1], start=self._lines + 1)
        ]
        self._read += len(whole)
        self._lines += len(events)
        return events

    def append(self, event: Event) -> None:
        """Add an event; only one process at a time may.

        Raises:
            OSError: If it cannot be written, and then it does not count.
        """
        with self.path.open("r+b") as file:
            file.truncate(_end_of_whole_lines(file))
            file.seek(0, os.SEEK_END)
            file.write(to_line(event))
            file.flush()
            os.fsync(file.fileno())

    def _parse(self, line: bytes, number: int) -> Event:
        if number == 1:
            self._check_format(line)
        try:
            return from_line(line)
        except ValidationError as error:
            msg = (
                f"{self.path}, line {number} is no event of a federation ({first_problem(error)}); restore the file "
                "from a backup."
            )
            raise FolderError(msg) from error

    def _check_format(self, line: bytes) -> None:
        try:
            created = read_json(line)
        except ValueError:
            created = None
        if not isinstance(created, dict) or "format" not in created:
            msg = f"{self.path} is not the journal of a federation; restore it from a backup."
            raise FolderError(msg)
        if created["format"] != FORMAT:
            msg = (
                f"{self.path} is written in format {shown(created['format'])}, this version of anomalib-federated "
                f"reads format {FORMAT}; use the version that wrote it."
            )
            raise FolderError(msg)


def begin(path: Path, created: Event) -> None:
    """Write the first line, unless it is there."""
    path.touch()
    journal = Journal(path)
    if not journal.read():
        journal.append(created)


def _end_of_whole_lines(file: BinaryIO) -> int:
    """Where the last whole line ends; what a writer that died, or a full disk, left of another lies behind it."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 1))
    if file.read() in {b"", b"\n"}:
        return size
    file.seek(0)
    return file.read().rfind(b"\n") + 1
