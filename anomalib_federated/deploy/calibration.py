"""Thresholds of one station from its own good pictures, kept in a file.

An exported model brings thresholds from the pictures of those who trained it. The light and the lens of a station
differ, so it scores good parts of its own and puts the threshold where the wished share of them will alarm. Nothing is
trained, and the model stays as it is.

Needs the standard library and numpy.

Example:
    >>> scores = [0.20 + 0.002 * number for number in range(100)]
    >>> calibration = calibrate(
    ...     scores, scores, category="pipe_clip", model_version="1f0c", station="line 3", false_alarm_rate=0.05
    ... )
    >>> calibration.pictures, round(calibration.threshold, 3), round(calibration.upper_bound, 3)
    (100, 0.39, 0.089)
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

from anomalib_federated.deploy.tiling import Tiling
from anomalib_federated.false_alarms import CONFIDENCE, FalseAlarms, expecting
from anomalib_federated.files import write_file
from anomalib_federated.untrusted import read_json, shown

FORMAT = 2
"""Of the file."""

MOST_PICTURES = 100_000
"""A file with more is refused."""

_MOST_BYTES = 50 * 2 * MOST_PICTURES
_ROUNDING_MARGIN = 1e-4
_GIVEN = ("category", "station", "model_version", "false_alarm_rate", "confidence", "tiling", "scores", "peaks")
_FOLLOWING = ("pictures", "threshold", "pixel_threshold", "expected_rate", "upper_bound")


class CalibrationError(ValueError):
    """A calibration, or its file, cannot be used."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What a model scores on good pictures of one category at one station, and the thresholds that follow.

    Attributes:
        category: What the pictures show.
        station: Where they were taken; may be empty.
        model_version: Of the model that scored them: a calibration is worth nothing for another.
        tiling: How the pictures were cut; None if they were not. It is worth nothing for other tiles either.
        false_alarm_rate: Wished share of good pictures above the threshold, in (0, 1).
        confidence: Of :attr:`upper_bound`.
        scores: Normalised scores of the pictures, in 0 .. 1, ascending.
        peaks: The largest value of each picture's anomaly map, in 0 .. 1, ascending.

    Raises:
        CalibrationError: If a value is out of its range.
    """

    category: str
    station: str = ""
    model_version: str
    tiling: Tiling | None = None
    false_alarm_rate: float
    confidence: float = CONFIDENCE
    scores: tuple[float, ...]
    peaks: tuple[float, ...]

    def __post_init__(self) -> None:
        for name in ("category", "station", "model_version"):
            value = getattr(self, name)
            if not isinstance(value, str) or not (value or name == "station") or not value.isprintable():
                msg = f"{name} is {shown(value)}; give a printable name."
                raise CalibrationError(msg)
        for name in ("false_alarm_rate", "confidence"):
            if not _is_number(getattr(self, name)):
                msg = f"{name} is {shown(getattr(self, name))}; give a share between 0 and 1."
                raise CalibrationError(msg)
        for name in ("scores", "peaks"):
            _check_scores(name, getattr(self, name))
        if len(self.scores) != len(self.peaks):
            msg = f"There are {len(self.scores)} scores but {len(self.peaks)} peaks; each picture has one of both."
            raise CalibrationError(msg)
        try:
            self.promise  # noqa: B018 - its checks are wanted
        except ValueError as error:
            raise CalibrationError(str(error)) from error
        if self.threshold >= 1:
            msg = "The threshold would be 1, and no part could score above it: check the pictures, or export again."
            raise CalibrationError(msg)

    @cached_property
    def promise(self) -> FalseAlarms:
        """What the thresholds promise; it tells too whether the pictures were enough for the wish."""
        return expecting(len(self.scores), self.false_alarm_rate, confidence=self.confidence)

    @property
    def pictures(self) -> int:
        """How many good pictures were scored."""
        return len(self.scores)

    @property
    def expected_rate(self) -> float:
        """Share of good pictures that will score above :attr:`threshold`, on average."""
        return self.promise.expected_rate

    @cached_property
    def upper_bound(self) -> float:
        """What the true share does not exceed, with :attr:`confidence`."""
        return self.promise.upper_bound

    @cached_property
    def threshold(self) -> float:
        """A picture that scores above is anomalous."""
        return _just_above(self.promise.threshold(self.scores))

    @cached_property
    def pixel_threshold(self) -> float:
        """A pixel above is anomalous; as many good pictures have such a pixel as score above :attr:`threshold`."""
        return _just_above(self.promise.threshold(self.peaks))

    def save(self, path: Path) -> Path:
        """Write the file, whole or not at all.

        Args:
            path: Where to; a file that is there is replaced.

        Returns:
            The path.
        """
        return write_file(path, self._bytes())

    @cached_property
    def digest(self) -> str:
        """Of everything in it: two calibrations with the same digest are the same."""
        return hashlib.sha256(self._bytes()).hexdigest()[:16]

    def _bytes(self) -> bytes:
        names = (*_GIVEN[:-2], *_FOLLOWING, *_GIVEN[-2:])  # what people read first
        content = {"format": FORMAT} | {name: getattr(self, name) for name in names}
        content["tiling"] = None if self.tiling is None else asdict(self.tiling)
        return f"{json.dumps(content, indent=1)}\n".encode()

    @classmethod
    def load(cls, path: Path) -> Calibration:
        """Read a file and check everything in it.

        Raises:
            CalibrationError: If it is missing, damaged, of another format, or was edited so that its thresholds do not
                follow from its scores.
        """
        try:
            with path.open("rb") as file:
                data = file.read(_MOST_BYTES + 1)
        except OSError as error:
            msg = f"The calibration {path} cannot be read ({error.strerror}): check the path."
            raise CalibrationError(msg) from error
        try:
            return _parse(data)
        except ValueError as error:
            msg = f"The calibration {path} cannot be used ({str(error).rstrip('.')}): calibrate the station again."
            raise CalibrationError(msg) from error


def calibrate(
    scores: Sequence[float],
    peaks: Sequence[float],
    *,
    category: str,
    model_version: str,
    false_alarm_rate: float,
    confidence: float = CONFIDENCE,
    station: str = "",
    tiling: Tiling | None = None,
) -> Calibration:
    """Calibrate from the verdicts of a model on good pictures.

    Args:
        scores: Normalised scores, one a picture.
        peaks: The largest value of each picture's anomaly map, in the same order or not.
        category: What the pictures show.
        model_version: Of the model that scored them.
        false_alarm_rate: Wished share of good pictures above the threshold. To be sure of a rate with a confidence,
            wish for the ``expected_rate`` of :func:`anomalib_federated.false_alarms.making_sure`.
        confidence: Of the upper bound.
        station: Where the pictures were taken.
        tiling: How they were cut.

    Raises:
        CalibrationError: If there is no picture, or a number is not finite or out of its range.
    """
    if unfit := [value for value in (*scores, *peaks) if not _is_number(value)]:
        msg = f"A score is {shown(unfit[0])}, not a finite number; export the model again."
        raise CalibrationError(msg)
    return Calibration(
        category=category,
        station=station,
        model_version=model_version,
        tiling=tiling,
        false_alarm_rate=false_alarm_rate,
        confidence=confidence,
        scores=tuple(sorted(map(float, scores))),
        peaks=tuple(sorted(map(float, peaks))),
    )


def _parse(data: bytes) -> Calibration:
    if len(data) > _MOST_BYTES:
        msg = f"it is larger than {_MOST_BYTES} bytes"
        raise CalibrationError(msg)
    content = read_json(data)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else content
        msg = f"its format is {shown(found)}, but this version reads {FORMAT}"
        raise CalibrationError(msg)
    names = {"format", *_GIVEN, *_FOLLOWING}
    if wrong := sorted(names ^ content.keys()):
        msg = f"the field {shown(wrong[0])} is {'missing' if wrong[0] in names else 'not known'}"
        raise CalibrationError(msg)
    given: dict[str, Any] = {name: content[name] for name in _GIVEN}
    for name in ("scores", "peaks"):
        if not isinstance(given[name], list):
            msg = f"{name} is {shown(given[name])}, not a list"
            raise CalibrationError(msg)
        given[name] = tuple(given[name])
    given["tiling"] = _tiling(given["tiling"])
    calibration = Calibration(**given)
    for name in _FOLLOWING:
        told, follows = content[name], getattr(calibration, name)
        if not (_is_number(told) and math.isclose(told, follows, rel_tol=1e-6)):
            msg = f"{name} is {shown(told)}, but {follows!r} follows from the scores"
            raise CalibrationError(msg)
    return calibration


def _tiling(value: object) -> Tiling | None:
    if value is None:
        return None
    if not isinstance(value, dict) or value.keys() != {"height", "width", "overlap"}:
        msg = f"tiling is {shown(value)}, not height, width and overlap"
        raise CalibrationError(msg)
    return Tiling(**value)


def _check_scores(name: str, values: object) -> None:
    if not isinstance(values, tuple) or not 1 <= len(values) <= MOST_PICTURES:
        count = len(values) if isinstance(values, tuple) else shown(values)
        msg = f"{name} has {count} pictures; give 1 to {MOST_PICTURES} good ones."
        raise CalibrationError(msg)
    if unfit := [value for value in values if not (_is_number(value) and 0 <= value <= 1)]:
        msg = f"{name} has {shown(unfit[0])}; a normalised score lies between 0 and 1."
        raise CalibrationError(msg)
    if any(left > right for left, right in pairwise(values)):
        msg = f"{name} do not ascend."
        raise CalibrationError(msg)


def _is_number(value: object) -> bool:
    return (type(value) is int and abs(value) < 2**53) or (isinstance(value, float) and math.isfinite(value))


def _just_above(score: float) -> float:
    """So little above the score of a normal picture that rounding cannot make it an alarm, and below 1."""
    return score + _ROUNDING_MARGIN * score * (1 - score)
