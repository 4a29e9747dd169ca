"""What came of a cell, as a JSON file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, with_config

from anomalib_federated.evaluation.json_file import JsonFile
from anomalib_federated.evaluation.robustness.loot import RobustnessError
from anomalib_federated.evaluation.robustness.measures import Admission, BankFigures, Success
from anomalib_federated.evaluation.robustness.study import Cell


@with_config(ConfigDict(extra="forbid", allow_inf_nan=False))
@dataclass(frozen=True, kw_only=True)
class CellResult:
    """What came of one attack of one strength against one defence.

    *Clean* is the bank of the same defence with all sites honest, so that what the defence itself costs is no success
    of the attack; that is told by the clean cells.

    Attributes:
        cell: Which.
        bad_sites: Names of the bad sites.
        figures: Of the global bank.
        admission: What became of the rows.
        whitelisting: Of the pictures of the target type, those that the attack hides.
        backdoor: Of the good pictures with the trigger, those that the attack lets pass.
        change_image_auroc: Against the clean bank, as all changes.
        change_auc_spro_target: ``None`` where the figure is not defined.
        change_auc_spro_others: Likewise.
        false_alarms: Share of good test pictures above the bank's own threshold.
        false_alarms_frozen: Share above the clean bank's.
        seconds: Wall time.
        settings: What decided the figures, as plain data.
    """

    cell: Cell
    bad_sites: tuple[str, ...]
    figures: BankFigures
    admission: Admission
    whitelisting: Success
    backdoor: Success
    change_image_auroc: float
    change_auc_spro_target: float | None
    change_auc_spro_others: float | None
    false_alarms: float
    false_alarms_frozen: float
    seconds: float
    settings: dict[str, Any] = field(default_factory=dict)


_FILES = JsonFile(
    CellResult, what="result of an attack", error=RobustnessError, mend="remove it, and it is computed again"
)


def as_plain(result: CellResult) -> dict[str, Any]:
    """The result as JSON values."""
    return _FILES.plain(result)


def write_cell(path: Path, result: CellResult) -> Path:
    """Write a result; the file appears only when it is complete.

    Returns:
        The path.
    """
    return _FILES.write(path, result)


def read_cell(path: Path) -> CellResult:
    """Read what :func:`write_cell` wrote.

    Raises:
        RobustnessError: If the file is none of ours.
    """
    return _FILES.read(path)
