"""What was measured of methods beside their figures: worst group, attacks, corrupted pictures.

Each is read from files below the folders of the results; what is not there was not measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from anomalib_federated.evaluation.corrupted import Corrupted, read_all_corrupted
from anomalib_federated.evaluation.fairness.fairness_file import read_all_fairness
from anomalib_federated.evaluation.fairness.figures import By, Fairness
from anomalib_federated.evaluation.results import ResultError
from anomalib_federated.first_problem import first_problem

ATTACKS = "attacks.json"
"""Anywhere below a folder, of the command ``attack``; a defence of a method's name tells of that method."""

DIVISIONS: tuple[By, ...] = ("group", "site")
"""What groups may be made by, the first that is there; a defect type is no group of pictures that one is fair to."""

WORST = "auc_spro@0.05"
"""The figure of the worst group."""

CLEAN = "clean"
"""The attack that is none."""


def worst_group(measured: Fairness) -> float | None:
    """AUC-sPRO@0.05 of the worst group of pictures; ``None`` if fewer than two groups have it."""
    for by in DIVISIONS:
        division = measured.by(by)
        if division is not None and (indices := division.indices.get(WORST)) is not None:
            return indices.worst_value
    return None


@dataclass(frozen=True, kw_only=True)
class AttackSuccess:
    """What one attack reached against one method on one category.

    Attributes:
        method: Name of the method.
        category: Name of the category.
        attack: Name of the attack.
        success: Of the defective pictures that the clean bank finds, the share that the attack hides.
        bad: Number of bad sites.
        share: Of the rows that each of them sends, how many are the attack's own.
    """

    method: str
    category: str
    attack: str
    success: float
    bad: int = 1
    share: float = 0.5


@dataclass(frozen=True, kw_only=True)
class Tried:
    """Which attack, of what strength, was tried against which defence."""

    defence: str
    attack: str
    bad: int
    share: float


@dataclass(frozen=True, kw_only=True)
class Hidden:
    """Defective pictures that the clean bank finds, and how many of them the attacked one misses."""

    found_clean: Annotated[int, Field(ge=0)]
    missed: Annotated[int, Field(ge=0)]


@dataclass(frozen=True, kw_only=True)
class AttackSettings:
    """The only category of a study."""

    category: Annotated[tuple[str, ...], Field(min_length=1, max_length=1)]


@dataclass(frozen=True, kw_only=True)
class AttackCell:
    """What is read of a cell of ``attacks.json``."""

    cell: Tried
    whitelisting: Hidden
    settings: AttackSettings

    @property
    def success(self) -> AttackSuccess | None:
        """``None`` if nothing was attacked, or the clean bank finds nothing that could be hidden."""
        if self.cell.attack == CLEAN or self.whitelisting.found_clean == 0:
            return None
        return AttackSuccess(
            method=self.cell.defence,
            category=self.settings.category[0],
            attack=self.cell.attack,
            success=self.whitelisting.missed / self.whitelisting.found_clean,
            bad=self.cell.bad,
            share=self.cell.share,
        )


@dataclass(frozen=True, kw_only=True)
class AttackStudy:
    """What is read of ``attacks.json``."""

    cells: tuple[AttackCell, ...]


@dataclass(frozen=True, kw_only=True)
class Beside:
    """What was measured beside figures.

    Attributes:
        groups: Figures by group.
        attacks: Against methods.
        corrupted: Figures on corrupted pictures.
    """

    groups: tuple[Fairness, ...] = field(default=())
    attacks: tuple[AttackSuccess, ...] = field(default=())
    corrupted: tuple[Corrupted, ...] = field(default=())


_ATTACKS = TypeAdapter(AttackStudy)


def read_beside(folders: Sequence[Path]) -> Beside:
    """All that lies below the folders.

    Raises:
        ResultError: If a file is unusable.
    """
    studies = [_read(path) for folder in folders for path in sorted(folder.glob(f"**/{ATTACKS}"))]
    successes = [cell.success for study in studies for cell in study.cells]
    return Beside(
        groups=tuple(each for folder in folders for each in read_all_fairness(folder)),
        attacks=tuple(success for success in successes if success is not None),
        corrupted=tuple(each for folder in folders for each in read_all_corrupted(folder)),
    )


def _read(path: Path) -> AttackStudy:
    try:
        return _ATTACKS.validate_json(path.read_bytes())
    except ValidationError as error:
        msg = f"{path} cannot be used: {first_problem(error)}; measure again, or remove it."
        raise ResultError(msg) from error
