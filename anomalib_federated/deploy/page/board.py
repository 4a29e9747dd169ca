"""What the page shows: put together by the thread that judges, read by those that answer browsers."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from anomalib_federated.deploy.page.last_pictures import LastPictures
from anomalib_federated.deploy.record import LAST_SCORES, Record
from anomalib_federated.deploy.station import Station

_SHOWN_OF_A_PART = ("number", "time", "path", "frame", "verdict", "score", "threshold", "regions_found", "error")


class Board:
    """The state of a station as JSON.

    Args:
        station: The model that judges.
        record: What is remembered; read only in :meth:`take`.
        source: Where the pictures come from.
        folder: The station's state; keeps the pictures over a restart.

    Attributes:
        pictures: Those of the last parts.
    """

    def __init__(self, station: Station, record: Record, *, source: str, folder: Path | None) -> None:
        self.pictures = LastPictures(None if folder is None else folder / "pictures", last=record.number)
        self._record = record
        self._about = {
            "category": station.category,
            "model": station.version,
            "threshold": station.threshold,
            "calibrated": station.calibrated,
            "source": source,
            "started": datetime.now(UTC).isoformat(timespec="milliseconds"),
        }
        self._last_beat = time.monotonic()
        self._trouble: str | None = None
        self._state = self._put_together()

    def beat(self, trouble: str | None) -> None:
        """Hear that the station is alive, and why no pictures come, if none do."""
        self._last_beat, self._trouble = time.monotonic(), trouble

    def take(self, number: int, shown: bytes | None) -> None:
        """Hear that the record has another part, and get its picture."""
        if shown is not None:
            self.pictures.add(number, shown)
        self._state = self._put_together()

    def answer(self, known: str) -> bytes:
        """JSON for a browser.

        Args:
            known: The version that the browser has; then ``state`` is left out if it is still the same.
        """
        version, state = self._state
        quiet = json.dumps({"version": version, "quiet": time.monotonic() - self._last_beat, "trouble": self._trouble})
        return quiet.encode() if known == version else b'%s, "state": %s}' % (quiet[:-1].encode(), state)

    def _put_together(self) -> tuple[str, bytes]:
        record = self._record
        state = {
            "about": self._about,
            "counts": record.counts,
            "parts": [self._part(line) for line in reversed(record.parts)],
            "history": list(record.history),
            "alarm": record.alarm if record.alarm and record.alarm["number"] > record.number - LAST_SCORES else None,
        }
        return f"{self._about['started']}/{record.number}", json.dumps(state).encode()

    def _part(self, line: Mapping[str, Any]) -> Mapping[str, Any]:
        part = {name: line[name] for name in _SHOWN_OF_A_PART if name in line}
        return part | {"picture": self.pictures.get(line["number"]) is not None}
