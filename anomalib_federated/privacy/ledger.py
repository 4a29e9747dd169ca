"""What a site's pictures have given away so far, on disk: spent before it is sent.

A release is entered, and the entry is on the disk, before its noise is drawn. A process that dies between the two has
spent without sending: that counts as spent, since nobody can know what still got out. What was entered is never taken
back. Pictures of different categories are different pictures, so each category has an account of its own, and the
fullest says how much is left.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import AwareDatetime, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError, with_config

from anomalib_federated.files import write_file
from anomalib_federated.line_file import LineFile
from anomalib_federated.privacy.gaussian import composed, epsilon_of, mu_of
from anomalib_federated.privacy.report import PrivacyReport
from anomalib_federated.sole_writer import sole_writer
from anomalib_federated.untrusted import said, shown

FORMAT = 1
"""How ledgers are written; another number means another program."""
LEDGER = "ledger.jsonl"
_ROUNDING = 1e-9
"""Rounds that share a budget may exceed it by this much when they are added up again; see ``gaussian.SLACK``."""
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class LedgerError(RuntimeError):
    """A ledger cannot be used; the message says why and how to mend it."""


class BudgetExceededError(LedgerError):
    """A release would give away more than the site allows."""


@dataclass(frozen=True, kw_only=True)
class PrivacyBudget:
    """The most that a site gives away of one picture (or part), over all releases, rounds and updates.

    Attributes:
        epsilon: See :attr:`PrivacyReport.in_words`.
        delta: Chance that it does not hold; well below 1 / number of pictures.
        unit: ``picture``, or ``part`` with all its pictures.
        adjacency: What nobody can tell: whether a unit was there (``add_or_remove``), or was another (``replace``).

    Raises:
        ValueError: If a field is impossible.
    """

    epsilon: float
    delta: float = 1e-5
    unit: Literal["picture", "part"] = "picture"
    adjacency: Literal["add_or_remove", "replace"] = "add_or_remove"

    def __post_init__(self) -> None:
        self.mu  # noqa: B018 - raises if it cannot be computed
        if self.unit not in {"picture", "part"} or self.adjacency not in {"add_or_remove", "replace"}:
            msg = (
                f"A privacy budget of unit {shown(self.unit)} and adjacency {shown(self.adjacency)} is impossible; "
                "give picture or part, and add_or_remove or replace."
            )
            raise ValueError(msg)

    @classmethod
    def of(cls, report: PrivacyReport) -> PrivacyBudget:
        """A budget that a promise just uses up.

        Raises:
            ValueError: If it promises nothing about pictures or parts.
        """
        if report.epsilon is None or report.delta is None:
            msg = f"The privacy plugin '{report.plugin}' promises nothing, so there is nothing to account for."
            raise ValueError(msg)
        unit, adjacency = cast("Any", report.unit), cast("Any", report.adjacency)  # others are refused
        return cls(epsilon=report.epsilon, delta=report.delta, unit=unit, adjacency=adjacency)

    @property
    def mu(self) -> float:
        """The same as a privacy loss."""
        return mu_of(self.epsilon, self.delta)


@with_config(ConfigDict(extra="forbid", strict=True, allow_inf_nan=False))
@dataclass(frozen=True, kw_only=True)
class _Header:
    """The first line: what all others are about."""

    format: int
    unit: str
    adjacency: str


@with_config(ConfigDict(extra="forbid", strict=True, allow_inf_nan=False))
@dataclass(frozen=True, kw_only=True)
class Spending:
    """A release that was about to be sent.

    Attributes:
        time: When, by the clock of the site; nothing depends on it.
        release: What it was for, in words.
        plugin: Name of the privacy plugin.
        losses: Per category, the privacy loss.
    """

    time: AwareDatetime
    release: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    plugin: Name
    losses: dict[Name, Annotated[float, Field(gt=0)]]


_HEADER, _SPENDING, _SPENDINGS = TypeAdapter(_Header), TypeAdapter(Spending), TypeAdapter(list[Spending])


class Ledger:
    """A site's account; any number of processes may share it.

    Args:
        folder: Where it lies; made if it is missing. Deleting it forgets what was given away, and breaks the promise.
        budget: The most that may be spent.

    Raises:
        LedgerError: If the ledger there is damaged, of another version, or about another unit.
        OSError: If it cannot be read or written.

    Example:
        >>> from anomalib_federated.testing.privacy import example_report
        >>> ledger = Ledger(getfixture("tmp_path"), PrivacyBudget(epsilon=2.0))
        >>> report = example_report(epsilon=1.0)
        >>> ledger.spend(report, ["screw"], release="first round")
        >>> {name: round(epsilon, 3) for name, epsilon in ledger.epsilons().items()}
        {'screw': 1.0}
    """

    def __init__(self, folder: Path, budget: PrivacyBudget) -> None:
        self.folder, self.budget = folder, budget
        self._file = folder / LEDGER
        folder.mkdir(parents=True, exist_ok=True)
        self._begin()
        self.spendings()

    def spendings(self) -> list[Spending]:
        """All releases so far, in their order.

        Raises:
            LedgerError: If the ledger is damaged, of another version, or about another unit.
        """
        lines = LineFile(self._file).read(self._parse) if self._file.is_file() else []
        if not lines:
            msg = f"{self._file} is gone or empty; restore it from a backup, since what was spent stands nowhere else."
            raise LedgerError(msg)
        return [entry for entry in lines if entry is not None]

    def spent(self) -> dict[str, float]:
        """Per category, the privacy loss of all releases so far.

        Raises:
            LedgerError: As :meth:`spendings` does.
        """
        return _totals(self.spendings())

    def epsilons(self) -> dict[str, float]:
        """The same as epsilon at the budget's delta."""
        return {category: epsilon_of(mu, self.budget.delta) for category, mu in self.spent().items()}

    def statement(self) -> dict[str, Any]:
        """What was spent of what, as values that JSON knows; the site's ``privacy_budget.json``.

        Raises:
            LedgerError: As :meth:`spendings` does.
        """
        entries = self.spendings()
        return {
            "budget": asdict(self.budget),
            "epsilon_spent": {category: epsilon_of(mu, self.budget.delta) for category, mu in _totals(entries).items()},
            "releases": _SPENDINGS.dump_python(entries, mode="json"),
        }

    def spend(self, report: PrivacyReport, categories: Collection[str], *, release: str) -> None:
        """Enter a release; only then may its noise be drawn, and it be sent.

        Args:
            report: What the release promises.
            categories: Whose pictures it is about; no picture is in two of them.
            release: What it is for, in words.

        Raises:
            BudgetExceededError: If it would go beyond the budget of a category; nothing is spent then.
            LedgerError: If it promises nothing about the ledger's unit, or the ledger is damaged.
            OSError: If the entry cannot be written; nothing may be sent then.
        """
        self._check_promise(report)
        entry = Spending(
            time=datetime.now(UTC),
            release=release,
            plugin=report.plugin,
            losses=dict.fromkeys(sorted(categories), report.mu),
        )
        line = _SPENDING.dump_json(entry)
        _SPENDING.validate_json(line)  # what cannot be read again must not be written
        with sole_writer(self.folder):
            self._check_budget(_totals([*self.spendings(), entry]), entry.losses)
            LineFile(self._file).append(line)

    def _begin(self) -> None:
        """Write the first line, unless it is there; an empty file is no ledger, but one that lost its lines."""
        with sole_writer(self.folder):
            if not self._file.exists():
                header = _Header(format=FORMAT, unit=self.budget.unit, adjacency=self.budget.adjacency)
                write_file(self._file, _HEADER.dump_json(header) + b"\n")

    def _check_header(self, line: bytes) -> None:
        try:
            header = _HEADER.validate_json(line)
        except ValidationError as error:
            msg = f"{self._file} is not a privacy ledger of this version; restore it from a backup."
            raise LedgerError(msg) from error
        if header.format != FORMAT:
            msg = f"{self._file} is written in format {header.format}, this version reads {FORMAT}; use that version."
            raise LedgerError(msg)
        if (header.unit, header.adjacency) != (self.budget.unit, self.budget.adjacency):
            msg = (
                f"{self._file} counts what is given away of one {said(header.unit)} ({said(header.adjacency)}), not of "
                f"one {self.budget.unit} ({self.budget.adjacency}); the two cannot be added up."
            )
            raise LedgerError(msg)

    def _parse(self, line: bytes, number: int) -> Spending | None:
        """What a line says was spent: the first nothing."""
        if number == 1:
            self._check_header(line)
            return None
        try:
            return _SPENDING.validate_json(line)
        except ValidationError as error:
            msg = f"{self._file}, line {number} is no entry of a privacy ledger; restore the file from a backup."
            raise LedgerError(msg) from error

    def _check_promise(self, report: PrivacyReport) -> None:
        if (report.unit, report.adjacency) != (self.budget.unit, self.budget.adjacency):
            promised = f"one {report.unit} ({report.adjacency})" if report.unit != "none" else "nothing"
            msg = (
                f"The privacy plugin '{report.plugin}' protects {promised}, but this site counts what is given away of "
                f"one {self.budget.unit} ({self.budget.adjacency}), so it sends nothing; choose another."
            )
            raise LedgerError(msg)

    def _check_budget(self, totals: Mapping[str, float], asked: Mapping[str, float]) -> None:
        for category, loss in asked.items():
            total, delta = totals[category], self.budget.delta
            if total > self.budget.mu * (1 + _ROUNDING):
                before = math.sqrt(max(0.0, total**2 - loss**2))
                msg = (
                    f"This release would bring category {shown(category)} to epsilon {epsilon_of(total, delta):.4g} at "
                    f"delta {delta:g}, but the site allows {self.budget.epsilon:g}, of which "
                    f"{epsilon_of(before, delta):.4g} is spent; nothing was sent. Ask for more noise, or raise the "
                    "site's budget if its pictures may give away more."
                )
                raise BudgetExceededError(msg)


def _totals(entries: list[Spending]) -> dict[str, float]:
    losses: dict[str, list[float]] = {}
    for entry in entries:
        for category, mu in entry.losses.items():
            losses.setdefault(category, []).append(mu)
    return {category: composed(values) for category, values in sorted(losses.items())}
