"""The journal of a federation folder: lines are only ever added, and each is on the disk before anything goes on."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from anomalib_federated.federation.folder.errors import FolderError, first_problem
from anomalib_federated.federation.folder.events import FORMAT, Event, from_line, to_line
from anomalib_federated.line_file import LineFile, LinesLostError
from anomalib_federated.untrusted import read_json, shown


class Journal:
    """A file of events that several processes may read while one writes.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = LineFile(path)

    def read(self) -> list[Event]:
        """The events that were added since the last call.

        Raises:
            FolderError: If the file was written by another version, a line is no event, or lines have vanished.
        """
        try:
            return self._file.read(self._parse)
        except LinesLostError as error:
            raise FolderError(str(error)) from error

    def append(self, event: Event) -> None:
        """Add an event; only one process at a time may.

        Raises:
            OSError: If it cannot be written, and then it does not count.
        """
        self._file.append(to_line(event).rstrip(b"\n"))

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
