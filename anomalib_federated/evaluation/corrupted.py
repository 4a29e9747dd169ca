"""``corruption.json``: what is left of a method's figures on corrupted pictures, beside its ``metrics.json``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, with_config

from anomalib_federated.evaluation.figures import HEADLINES, Interval
from anomalib_federated.evaluation.json_file import JsonFile
from anomalib_federated.evaluation.results import METRICS, Result, ResultError, result_folder

FILE = "corruption.json"

AT_CLEAN = ("tpr@clean0.95", "tnr@clean0.95")
"""What the threshold of clean pictures, which 95 % of the normal ones pass, does to corrupted ones."""

FIGURES = HEADLINES | {AT_CLEAN[0]: "TPR at the clean threshold", AT_CLEAN[1]: "TNR at the clean threshold"}
"""The figures, by name, and in words; TPR at 95 % TNR is at the threshold of corrupted validation pictures."""

SHOWN = ("image_auroc", "auc_spro@0.05", "tpr@tnr0.95", *AT_CLEAN)
"""Those that tables show."""


@dataclass(frozen=True, kw_only=True)
class Level:
    """Figures under one corruption.

    Attributes:
        name: What the corruption is called.
        corruption: Its fields.
        figures: By the names of :data:`FIGURES`; ``None`` where the pictures define none.
        intervals: Bootstrap intervals of those that have one.
    """

    name: str
    corruption: dict[str, Any]
    figures: dict[str, float | None]
    intervals: dict[str, Interval]


@with_config(ConfigDict(extra="forbid", allow_inf_nan=False))
@dataclass(frozen=True, kw_only=True)
class Corrupted:
    """What one method reached on one category with one seed, on corrupted pictures.

    Attributes:
        method: Name of the method.
        category: Name of the category.
        seed: Of the run.
        levels: One for each corruption, in the order in which they were asked for.
        confidence: Of the intervals.
        resamples: Of the bootstrap behind them; 0 if none were made.
    """

    method: str
    category: str
    seed: int
    levels: tuple[Level, ...]
    confidence: float
    resamples: int


_FILES = JsonFile(Corrupted, what=f"{FILE} of this package", error=ResultError, mend="measure again")


def clean_figures(result: Result) -> dict[str, float | None]:
    """The figures of :data:`SHOWN` on clean pictures, of which both thresholds are one."""
    point = next((point for point in result.figures.operating_points if point.tnr == 0.95), None)
    at_clean = (None, None) if point is None else (point.tpr, point.test_tnr)
    figures = {name: result.figures.headline(name) for name in SHOWN if name not in AT_CLEAN}
    return figures | dict(zip(AT_CLEAN, at_clean, strict=True))


def write_corrupted(output: Path, corrupted: Corrupted) -> Path:
    """Write ``<output>/metrics/<method>/<category>/corruption.json``; it appears only when it is complete.

    Returns:
        The file.
    """
    return _FILES.write(result_folder(output, corrupted.method, corrupted.category) / FILE, corrupted)


def read_corrupted(path: Path) -> Corrupted:
    """Read what :func:`write_corrupted` wrote.

    Raises:
        ResultError: If the file is none of ours.
    """
    return _FILES.read(path)


def read_all_corrupted(folder: Path) -> list[Corrupted]:
    """All that lie below a folder, in the order of their paths; may be none.

    Raises:
        ResultError: If a file is unusable.
    """
    return [read_corrupted(path) for path in sorted(folder.glob(f"**/{METRICS}/*/*/{FILE}"))]
