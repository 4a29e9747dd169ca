"""What was measured of methods beside their figures: worst group, attacks, corrupted pictures.

Each is read from files below the folders of the results; what is not there was not measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, TypeAlias, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from anomalib_federated.evaluation.corrupted import Corrupted, read_all_corrupted
from anomalib_federated.evaluation.results import METRICS, ResultError

FAIRNESS = "fairness.json"
"""Beside ``metrics.json``: figures by group of pictures."""

ATTACKS = "attacks.json"
"""Anywhere below a folder: ``{"cells": [{"method": ..., "category": ..., "attack": ..., "success": ...}, ...]}``.

``success`` is the share of the defective pictures found by the clean bank that the attack hides. Entries may have more
fields, such as ``seed``; those without a ``method`` or a ``success`` tell nothing here."""

DIVISIONS = ("group", "site")
"""What groups may be made by, the first that is there; a defect type is no group of pictures that one is fair to."""

WORST = "auc_spro@0.05"
"""The figure of the worst group."""

Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]
_Read = TypeVar("_Read")


@dataclass(frozen=True, kw_only=True)
class GroupValue:
    """A figure of one group."""

    name: str
    figures: dict[str, float | None]


@dataclass(frozen=True, kw_only=True)
class Division:
    """Groups of one kind."""

    by: str
    groups: tuple[GroupValue, ...]


@dataclass(frozen=True, kw_only=True)
class GroupFigures:
    """What is read of ``fairness.json``."""

    method: str
    category: str
    seed: int
    divisions: tuple[Division, ...]

    @property
    def worst(self) -> float | None:
        """AUC-sPRO@0.05 of the worst group; ``None`` if fewer than two groups have it."""
        for by in DIVISIONS:
            groups = [group for division in self.divisions if division.by == by for group in division.groups]
            values = [value for group in groups if (value := group.figures.get(WORST)) is not None]
            if len(values) > 1:
                return min(values)
        return None


@dataclass(frozen=True, kw_only=True)
class AttackSuccess:
    """What one attack reached against one method on one category."""

    attack: str
    method: str = ""
    category: str = ""
    success: Share | None = None
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Attacks:
    """What is read of ``attacks.json``."""

    cells: tuple[AttackSuccess, ...]


@dataclass(frozen=True, kw_only=True)
class Beside:
    """What was measured beside figures.

    Attributes:
        groups: Figures by group.
        attacks: Against methods.
        corrupted: Figures on corrupted pictures.
    """

    groups: tuple[GroupFigures, ...] = field(default=())
    attacks: tuple[AttackSuccess, ...] = field(default=())
    corrupted: tuple[Corrupted, ...] = field(default=())


_GROUPS, _ATTACKS = TypeAdapter(GroupFigures), TypeAdapter(Attacks)


def read_beside(folders: Sequence[Path]) -> Beside:
    """All that lies below the folders.

    Raises:
        ResultError: If a file is unusable.
    """
    attacks = [
        cell
        for folder in folders
        for path in sorted(folder.glob(f"**/{ATTACKS}"))
        for cell in _read(path, _ATTACKS).cells
    ]
    return Beside(
        groups=tuple(
            _read(path, _GROUPS) for folder in folders for path in sorted(folder.glob(f"**/{METRICS}/*/*/{FAIRNESS}"))
        ),
        attacks=tuple(cell for cell in attacks if cell.method and cell.success is not None),
        corrupted=tuple(each for folder in folders for each in read_all_corrupted(folder)),
    )


def _read(path: Path, kind: TypeAdapter[_Read]) -> _Read:
    try:
        return kind.validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        msg = f"{path} cannot be used: {first['msg']} ({where}); measure again, or remove it."
        raise ResultError(msg) from error
