"""What a station remembers of the pictures that it judged: it follows from their lines alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from anomalib_federated.untrusted import shown

LAST_PARTS = 24
"""How many parts are remembered whole."""

LAST_SCORES = 500
"""How many scores are remembered."""

VERDICTS = ("good", "anomalous", "error")


class Record:
    """Counts, the last parts, the last scores, and which files were judged.

    Attributes:
        number: Of the last part.
        counts: Parts per verdict.
        parts: The lines of the last :data:`LAST_PARTS` parts, the newest last.
        history: Number, verdict, score (None for an error) and threshold of the last :data:`LAST_SCORES` parts.
        judged: Per path of a watched folder, the signature of the file that was judged.

    Example:
        >>> record = Record()
        >>> record.add({"number": 1, "verdict": "error", "error": "cut short", "path": "a.png"}, signature="7")
        >>> record.counts, record.judged
        ({'good': 0, 'anomalous': 0, 'error': 1}, {'a.png': '7'})
    """

    def __init__(self) -> None:
        self.number = 0
        self.counts = dict.fromkeys(VERDICTS, 0)
        self.parts: deque[Mapping[str, Any]] = deque(maxlen=LAST_PARTS)
        self.history: deque[tuple[int, str, float | None, float | None]] = deque(maxlen=LAST_SCORES)
        self.judged: dict[str, str] = {}

    def add(self, line: Mapping[str, Any], *, signature: str = "") -> None:
        """Take up the line of the next part.

        Args:
            line: As :meth:`Inspection.line` makes it.
            signature: Of the watched file, if it is one.

        Raises:
            ValueError: The line is not that of the next part.
        """
        if line.get("number") != self.number + 1 or line.get("verdict") not in VERDICTS:
            msg = f"part {self.number + 1} was expected, but the line says {shown(line.get('number'))}"
            raise ValueError(msg)
        self.number += 1
        self.counts[line["verdict"]] += 1
        self.parts.append(line)
        self.history.append((self.number, line["verdict"], line.get("score"), line.get("threshold")))
        if signature:
            self.judged[line["path"]] = signature

    def to_dict(self) -> dict[str, Any]:
        """All of it, as JSON holds it."""
        return {
            "number": self.number,
            "counts": self.counts,
            "parts": list(self.parts),
            "history": list(self.history),
            "judged": self.judged,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Record:
        """What :meth:`to_dict` gave.

        Raises:
            ValueError: Something in it cannot be.
        """
        record = cls()
        number, counts = values.get("number"), values.get("counts")
        parts, history, judged = (values.get(name) for name in ("parts", "history", "judged"))
        sound = {
            "counts": isinstance(counts, dict)
            and counts.keys() == set(VERDICTS)
            and all(map(_is_count, counts.values())),
            "number": _is_count(number) and isinstance(counts, dict) and number == sum(counts.values()),
            "parts": isinstance(parts, list) and all(isinstance(part, dict) for part in parts),
            "history": isinstance(history, list)
            and all(isinstance(entry, list) and len(entry) == 4 for entry in history),
            "judged": isinstance(judged, dict) and all(isinstance(signature, str) for signature in judged.values()),
        }
        if wrong := [name for name, fits in sound.items() if not fits]:
            msg = f"the field {wrong[0]} is not usable"
            raise ValueError(msg)
        record.number, record.counts, record.judged = int(number or 0), dict(counts or {}), dict(judged or {})
        record.parts.extend(parts or [])
        record.history.extend(tuple(entry) for entry in history or [])
        return record


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
