"""What a station remembers of the pictures that it judged: it follows from their lines alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from anomalib_federated.deploy.drift import ScoreDrift
from anomalib_federated.untrusted import shown

LAST_PARTS = 24
"""How many parts are remembered whole."""

LAST_SCORES = 500
"""How many scores are remembered."""

VERDICTS = ("good", "anomalous", "error")


class Record:
    """Counts, the last parts, the last scores, which files were judged, and whether scores have drifted.

    Args:
        drift: Watches the scores; None if nobody does.

    Attributes:
        number: Of the last part.
        counts: Parts per verdict.
        parts: The lines of the last :data:`LAST_PARTS` parts, the newest last.
        history: Number, verdict, score (None for an error) and threshold of the last :data:`LAST_SCORES` parts.
        judged: Per path of a watched folder, the signature of the file that was judged.
        alarm: The last alarm of drift: number and time of its part, kind and sentence.
        drift: What watches the scores.

    Example:
        >>> record = Record()
        >>> _ = record.add({"number": 1, "verdict": "error", "error": "cut short", "path": "a.png"}, signature="7")
        >>> record.counts, record.judged
        ({'good': 0, 'anomalous': 0, 'error': 1}, {'a.png': '7'})
    """

    def __init__(self, drift: ScoreDrift | None = None) -> None:
        self.number = 0
        self.counts = dict.fromkeys(VERDICTS, 0)
        self.parts: deque[Mapping[str, Any]] = deque(maxlen=LAST_PARTS)
        self.history: deque[tuple[int, str, float | None, float | None]] = deque(maxlen=LAST_SCORES)
        self.judged: dict[str, str] = {}
        self.alarm: Mapping[str, Any] | None = None
        self.drift = drift

    def add(self, line: Mapping[str, Any], *, signature: str = "") -> Mapping[str, Any]:
        """Take up the line of the next part.

        Args:
            line: As :meth:`Inspection.line` makes it.
            signature: Of the watched file, if it is one.

        Returns:
            The line, with ``drift`` if it raised an alarm.

        Raises:
            ValueError: The line is not that of the next part.
        """
        if line.get("number") != self.number + 1 or line.get("verdict") not in VERDICTS:
            msg = f"part {self.number + 1} was expected, but the line says {shown(line.get('number'))}"
            raise ValueError(msg)
        score = None if line["verdict"] == "error" else line["score"]
        alarm = None if score is None or self.drift is None else self.drift.add(score)
        self.number += 1
        if alarm is not None:
            line = {**line, "drift": {"kind": alarm.kind, "sentence": alarm.sentence}}
            self.alarm = {"number": self.number, "time": line["time"], **line["drift"]}
        self.counts[line["verdict"]] += 1
        self.parts.append(line)
        self.history.append((self.number, line["verdict"], score, line.get("threshold")))
        if signature:
            self.judged[line["path"]] = signature
        return line

    def to_dict(self) -> dict[str, Any]:
        """All of it, as JSON holds it."""
        return {
            "number": self.number,
            "counts": self.counts,
            "parts": list(self.parts),
            "history": list(self.history),
            "judged": self.judged,
            "alarm": self.alarm,
            "drift": None if self.drift is None else self.drift.state(),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, drift: ScoreDrift | None = None) -> Record:
        """What :meth:`to_dict` gave.

        Args:
            values: What was read.
            drift: With the calibration to watch by; the record goes on watching if it did so by the same one.

        Raises:
            ValueError: Something in it cannot be.
        """
        names = ("number", "counts", "parts", "history", "judged", "alarm", "drift")
        read: dict[str, Any] = {name: values.get(name) for name in names}
        sound = {
            "counts": _are_counts(read["counts"]),
            "number": _are_counts(read["counts"]) and read["number"] == sum(read["counts"].values()),
            "parts": _is_list(read["parts"], of=dict),
            "history": _is_list(read["history"], of=list) and all(len(entry) == 4 for entry in read["history"]),
            "judged": isinstance(read["judged"], dict) and _is_list(list(read["judged"].values()), of=str),
            "alarm": read["alarm"] is None or isinstance(read["alarm"], dict),
            "drift": read["drift"] is None or isinstance(read["drift"], dict),
        }
        if wrong := [name for name, fits in sound.items() if not fits]:
            msg = f"the field {wrong[0]} is not usable"
            raise ValueError(msg)
        record = cls()
        record.number, record.counts, record.judged = read["number"], read["counts"], read["judged"]
        record.parts.extend(read["parts"])
        record.history.extend(map(tuple, read["history"]))
        told = read["drift"] or {}
        if drift is not None and told.get("calibration") == drift.calibration.digest:
            record.drift = ScoreDrift.from_state(drift.calibration, told)
            record.alarm = read["alarm"]
        return record


def _are_counts(value: object) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() == set(VERDICTS)
        and all(isinstance(count, int) and not isinstance(count, bool) and count >= 0 for count in value.values())
    )


def _is_list(value: object, *, of: type) -> bool:
    return isinstance(value, list) and all(isinstance(entry, of) for entry in value)
