"""A study: every attack against every defence, at several strengths and numbers of bad sites."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from anomalib_federated import registry
from anomalib_federated.evaluation.robustness.defence import Defence, PluginSpec
from anomalib_federated.evaluation.robustness.loot import RobustnessError
from anomalib_federated.interfaces.attack import Attack

CLEAN = "clean"
"""Name of the attack that is none."""


@dataclass(frozen=True, kw_only=True, order=True)
class Cell:
    """One attack of one strength against one defence.

    Attributes:
        defence: Name of the defence.
        attack: Name of the attack; :data:`CLEAN` if all sites are honest.
        bad: Number of bad sites.
        share: Of the rows that each bad site sends, how many are the attack's own.
    """

    defence: str
    attack: str = CLEAN
    bad: int = 0
    share: float = 0.0

    def __str__(self) -> str:
        if self.attack == CLEAN:
            return f"{self.defence}, all sites honest"
        return f"{self.defence}, {self.attack}, {self.bad} bad, share {self.share:g}"


@dataclass(frozen=True, kw_only=True)
class Study:
    """What is tried.

    Attributes:
        attacks: Attack plugins by the names that results have; they get each share.
        defences: By name.
        output: Folder to write.
        shares: Of the rows that a bad site sends, how many are the attack's own.
        bad_sites: Numbers of bad sites.
        undefended: The defence that is none: what it costs to have a defence is measured against it.
        settings: What decides the figures besides attacks and defences, as plain data; written into every result.
        seed: Decides every random choice of attacks.

    Raises:
        RobustnessError: If a name cannot be that of a folder, two results would have one name, or there is nothing to
            do.
        PluginError: If a plugin cannot be had: before anything is computed.

    Example:
        >>> study = Study(attacks={"flooding": "flooding"}, defences={}, output=Path("results"), shares=[0.5])
        >>> [str(cell) for cell in study.cells()]
        ['none, all sites honest', 'none, flooding, 1 bad, share 0.5']
    """

    attacks: Mapping[str, PluginSpec]
    defences: Mapping[str, Defence]
    output: Path
    shares: Sequence[float] = (0.5,)
    bad_sites: Sequence[int] = (1,)
    undefended: Defence = field(default_factory=Defence)
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.attacks or not self.shares or not self.bad_sites or min(self.bad_sites, default=0) < 1:
            msg = "There is no attack to try; name at least one attack, one share and one number of bad sites from 1."
            raise RobustnessError(msg)
        for what, told in (("share", [f"{share:g}" for share in self.shares]), ("number of bad sites", self.bad_sites)):
            if len(set(told)) < len(told):
                msg = f"A {what} stands twice among {', '.join(map(str, told))}, as results are named; leave one out."
                raise RobustnessError(msg)
        for kind, names in (("attack", self.attacks), ("defence", self.defences)):
            for name in names:
                if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) or name in {CLEAN, self.no_defence}:
                    msg = (
                        f"The {kind} {name!a} names a folder; use letters, digits and . _ - only, a letter or a digit "
                        f"first, and neither '{CLEAN}' nor '{self.no_defence}', which are there always."
                    )
                    raise RobustnessError(msg)
        for name in self.attacks:
            for share in self.shares:
                self.attack(name, share)
        for defence in self.all_defences.values():
            defence.chain()
            defence.make_strategy()

    @property
    def no_defence(self) -> str:
        """Name of :attr:`undefended`."""
        return "none"

    @property
    def all_defences(self) -> dict[str, Defence]:
        """By name; the first is none."""
        return {self.no_defence: self.undefended, **self.defences}

    def attack(self, name: str, share: float) -> Attack:
        """An attack by the name that results have.

        Raises:
            PluginError: If it cannot be had.
            ValueError: If the share is impossible.
        """
        attack: Attack = registry.build("attack", self.attacks[name], share=share)
        return attack

    def cells(self) -> Iterator[Cell]:
        """All cells: of each defence first the one without an attack, with which the others are compared."""
        for defence in self.all_defences:
            yield Cell(defence=defence)
            for attack in self.attacks:
                for bad in self.bad_sites:
                    for share in self.shares:
                        yield Cell(defence=defence, attack=attack, bad=bad, share=share)

    def path(self, cell: Cell) -> Path:
        """The file of a cell's result."""
        folder = self.output / "cells" / cell.defence / cell.attack
        return folder / f"bad_{cell.bad}_share_{cell.share:g}.json"

    def settings_of(self, cell: Cell) -> dict[str, Any]:
        """All that decides a cell's figures, besides the cell itself."""
        attack = {} if cell.attack == CLEAN else {"attack": self.attacks[cell.attack]}
        defences = {"defence": self.all_defences[cell.defence].plain(), "undefended": self.undefended.plain()}
        return {**attack, **defences, "seed": self.seed, **self.settings}
