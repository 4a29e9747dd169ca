"""A station's record on disk: each part is there before anybody is told of it, so no kill loses or doubles one.

``journal.jsonl`` gets a line per part. Now and then, and at the end, everything goes into ``snapshot.json`` and the
journal begins anew. Whatever of the journal the snapshot holds already is passed over when it is read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from anomalib_federated.deploy.drift import ScoreDrift
from anomalib_federated.deploy.record import Record
from anomalib_federated.files import write_file
from anomalib_federated.line_file import LineFile
from anomalib_federated.untrusted import read_json, shown

FORMAT = 1

SNAPSHOT_EVERY = 1000
"""Parts."""


class Journal:
    """Keeps a record, in memory alone or in a folder too. Only one process at a time may use a folder.

    Args:
        folder: Where to keep it; None keeps it in memory.
        source: Where the pictures come from: a record is continued for the same source only.
        drift: Watches the scores; None if nobody does.

    Attributes:
        record: What is remembered.
        untold: The line of the last part if the station was killed, for nobody knows whether it was told.

    Raises:
        ValueError: The folder belongs to another source, or what it holds is damaged.
        OSError: The folder cannot be read or written.
    """

    def __init__(self, folder: Path | None, *, source: str, drift: ScoreDrift | None = None) -> None:
        self.record = Record()
        self.untold: Mapping[str, Any] | None = None
        self._folder, self._source = folder, source
        self._since_snapshot = 0
        if folder is not None:
            self._read(folder, drift)
        # Scores from before a new calibration are nothing to judge it by.
        self.record.drift = self.record.drift or drift
        if folder is not None:
            self._save(ended_well=self.untold is None)

    def _read(self, folder: Path, drift: ScoreDrift | None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._snapshot = folder / "snapshot.json"
        self._path = folder / "journal.jsonl"
        ended_well = True
        if self._snapshot.exists():
            ended_well = self._read_snapshot(drift)
        if self._path.exists():
            entries = LineFile(self._path).read(self._parse)
            ended_well = not sum(map(self._replay, entries)) and ended_well
        if not ended_well and self.record.parts:
            self.untold = self.record.parts[-1]

    def add(self, line: Mapping[str, Any], *, signature: str = "") -> Mapping[str, Any]:
        """Remember a part; when this returns, it is on disk.

        Args:
            line: As :meth:`Inspection.line` makes it, with the next number.
            signature: Of the watched file, if it is one.

        Returns:
            The line, with ``drift`` if it raised an alarm.
        """
        if self._folder is not None:
            self._lines.append(json.dumps({"line": line, "signature": signature}).encode())
        line = self.record.add(line, signature=signature)
        self._since_snapshot += 1
        if self._folder is not None and self._since_snapshot >= SNAPSHOT_EVERY:
            self._save(ended_well=False)
        return line

    def close(self) -> None:
        """Write the snapshot of a station that has told of all its parts."""
        if self._folder is not None:
            self._save(ended_well=True)

    def _save(self, *, ended_well: bool) -> None:
        content = {"format": FORMAT, "source": self._source, "ended_well": ended_well, **self.record.to_dict()}
        write_file(self._snapshot, json.dumps(content).encode())
        # The snapshot is on disk: a journal that is not yet emptied when a kill comes is passed over.
        write_file(self._path, b"")
        self._lines = LineFile(self._path)
        self._since_snapshot = 0

    def _read_snapshot(self, drift: ScoreDrift | None) -> bool:
        try:
            content = read_json(self._snapshot.read_bytes())
            if not isinstance(content, dict) or content.get("format") != FORMAT:
                msg = f"it is not of format {FORMAT}"
                raise ValueError(msg)  # noqa: TRY301 - told below, with the file
            self.record = Record.from_dict(content, drift=drift)
        except ValueError as error:
            self._fail(self._snapshot, str(error))
        if content.get("source") != self._source:
            msg = (
                f"The state in {self._folder} belongs to pictures from {shown(content.get('source'))}, "
                f"not {shown(self._source)}: give another folder as --state."
            )
            raise ValueError(msg)
        return content.get("ended_well") is True

    def _parse(self, text: bytes, number: int) -> Mapping[str, Any]:
        try:
            entry = read_json(text)
        except ValueError as error:
            self._fail(self._path, f"line {number}: {error}")
        if not isinstance(entry, dict) or not isinstance(entry.get("line"), dict):
            self._fail(self._path, f"line {number} is no part's")
        return entry

    def _replay(self, entry: Mapping[str, Any]) -> bool:
        """Take up an entry unless the snapshot holds it; tells whether it did not."""
        line, signature = entry["line"], entry.get("signature")
        number = line.get("number")
        if isinstance(number, int) and number <= self.record.number:
            return False
        try:
            self.record.add(line, signature=signature if isinstance(signature, str) else "")
        except (ValueError, KeyError) as error:
            self._fail(self._path, str(error))
        return True

    def _fail(self, path: Path, reason: str) -> NoReturn:
        msg = f"The state {path} is damaged ({reason.rstrip('.')}): move its folder away to begin at zero."
        raise ValueError(msg)
