"""What became of one picture at the station, and the line that tells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anomalib_federated.deploy.regions import Region
from anomalib_federated.deploy.sources.frame import Frame
from anomalib_federated.deploy.verdict import Verdict

MOST_REGIONS = 50
"""Regions in a line at most, the largest ones; ``regions_found`` tells how many there are."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Inspection:
    """A judged picture, or one that got no verdict.

    Attributes:
        frame: Where the picture came from.
        time: When it was taken up, UTC in ISO 8601.
        category: What the model was trained to inspect.
        model: The model's version.
        milliseconds: Wall time of each stage that it went through.
        verdict: The answer; None if there is none.
        error: Why there is no answer, as a sentence.
        regions: Where the defects are.
        overlay: The file with the overlay, if one was written.
        shown: A small JPEG of the overlay, if one was asked for.
    """

    frame: Frame
    time: str
    category: str
    model: str
    milliseconds: Mapping[str, float]
    verdict: Verdict | None = None
    error: str | None = None
    regions: tuple[Region, ...] = ()
    overlay: Path | None = None
    shown: bytes | None = None

    def line(self, number: int) -> dict[str, Any]:
        """The picture's line: what JSON holds, the journal keeps and the page shows.

        Args:
            number: Which picture it is that the station judged, from 1.
        """
        head = {"number": number, "time": self.time, self.frame.kind: self.frame.name}
        tail = {
            "milliseconds": {stage: round(value, 3) for stage, value in self.milliseconds.items()},
            "category": self.category,
            "model": self.model,
        }
        if self.verdict is None:
            return {**head, "verdict": "error", "error": self.error, **tail}
        return {
            **head,
            "verdict": self.verdict.word.lower(),
            "score": self.verdict.score,
            "threshold": self.verdict.threshold,
            "regions": [{"box": list(region.box), "area": region.area} for region in self.regions[:MOST_REGIONS]],
            "regions_found": len(self.regions),
            **tail,
            "overlay": None if self.overlay is None else str(self.overlay),
        }


def in_words(line: Mapping[str, Any]) -> list[str]:
    """A line for people, and another if it raised an alarm.

    Example:
        >>> in_words({"verdict": "error", "error": "The picture a.png cannot be read."})
        ['ERROR      The picture a.png cannot be read.']
    """
    if line["verdict"] == "error":
        return [f"{'ERROR':<9}  {line['error']}"]
    word = "good" if line["verdict"] == "good" else "ANOMALOUS"
    spent = line["milliseconds"]["prepare"] + line["milliseconds"]["infer"]
    numbers = f"score {line['score']:6.3f}  threshold {line['threshold']:.3f}  {spent:7.1f} ms"
    name = line.get("path", line.get("frame"))
    said = f"{word:<9}  {numbers}  {name}" + ("" if line["overlay"] is None else f"  -> {line['overlay']}")
    return [said, f"{'DRIFT':<9}  {line['drift']['sentence']}"] if "drift" in line else [said]
