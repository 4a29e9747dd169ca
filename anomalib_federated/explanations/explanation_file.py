"""``<image>_<method>.json``: an explanation as numbers, beside the picture of it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config

from anomalib_federated.files import write_file
from anomalib_federated.first_problem import first_problem
from anomalib_federated.interfaces.explainer import Case, Contribution, Explanation
from anomalib_federated.untrusted import read_json, said

INTERPRETABILITY = "interpretability"
"""Folder of all explanations below an output folder."""

LISTED = 20
"""Contributions that are listed one by one."""

ROUNDING = 1e-4
"""Relative to the number that is explained: how far contributions may be from adding up."""

ERRORS = 5
"""Likewise, how many of the standard errors that are told, all added up."""


class ExplanationError(ValueError):
    """An explanation is wrong or cannot be used; the message names the file or the method."""


@with_config(ConfigDict(extra="forbid", allow_inf_nan=False))
@dataclass(frozen=True, kw_only=True)
class Listed:
    """What one patch contributes.

    Attributes:
        patch: Its number, row by row of the patch grid.
        row: Of the patch grid, from 0.
        column: Likewise.
        box: Left, top, right and bottom in pixels of the picture's file; right and bottom are the first outside.
        value: Contribution to the number explained.
        standard_error: Of the value, if it was sampled.
    """

    patch: int
    row: int
    column: int
    box: tuple[int, int, int, int]
    value: float
    standard_error: float | None = None


@with_config(ConfigDict(extra="forbid", allow_inf_nan=False))
@dataclass(frozen=True, kw_only=True)
class Others:
    """All contributions that are not listed one by one.

    Attributes:
        patches: How many.
        value: Their sum.
        standard_error: Sum of their standard errors, a bound of that of the sum, if they were sampled.
    """

    patches: int = 0
    value: float = 0.0
    standard_error: float | None = None


@with_config(ConfigDict(extra="forbid", allow_inf_nan=False))
@dataclass(frozen=True, kw_only=True)
class Told:
    """An explanation without its pictures.

    Attributes:
        method: Name of the explainer.
        category: Of the picture.
        image: Path of the picture below its category's folder.
        size: Height and width of the picture's file.
        grid: Rows and columns of the patch grid.
        score: Of the picture, raw.
        score_rule: How patch distances become the score.
        threshold: Above which pictures are called anomalous, if it was set.
        explained: The number that is explained.
        explained_as: What it is.
        baseline: What it would be without what contributes; ``None`` if the method does not share it out.
        contributions: The largest ones, largest first.
        others: All others; with these and the baseline they add up to ``explained``.
        settings: What decided the explanation.
        facts: What else the method found.
        private: Whether it must not leave the site.
        made_from: What it was made from: picture, bank, explainer, seed.

    Raises:
        ExplanationError: If contributions do not add up, or are of no patch of the grid.
    """

    method: str
    category: str
    image: str
    size: tuple[int, int]
    grid: tuple[int, int]
    score: float
    score_rule: str
    threshold: float | None
    explained: float
    explained_as: str
    baseline: float | None = None
    contributions: tuple[Listed, ...] = ()
    others: Others = field(default_factory=Others)
    settings: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    private: bool = False
    made_from: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rows, columns = self.grid
        for each in self.contributions:
            if (each.row, each.column) != divmod(each.patch, columns) or not 0 <= each.row < rows:
                msg = f"The explanation '{self.method}' tells of a patch {each.patch} that a grid of {self.grid} lacks."
                raise ExplanationError(msg)
        if self.baseline is None:
            return
        total = math.fsum([self.baseline, *(each.value for each in self.contributions), self.others.value])
        errors = math.fsum(each.standard_error or 0.0 for each in self.contributions)
        errors += self.others.standard_error or 0.0
        if abs(total - self.explained) > ROUNDING * max(1.0, abs(self.explained)) + ERRORS * errors:
            msg = (
                f"The contributions of the explanation '{self.method}' and its baseline add up to {total:.6g}, but "
                f"{self.explained:.6g} is explained; mend the explainer."
            )
            raise ExplanationError(msg)


_TOLD = TypeAdapter(Told)


def told_of(case: Case, explanation: Explanation, *, method: str, made_from: Mapping[str, Any] | None = None) -> Told:
    """An explanation as numbers.

    Args:
        case: The picture and its detector.
        explanation: What the explainer gave.
        method: Name of the explainer.
        made_from: What decides it, as plain data.

    Raises:
        ExplanationError: If its contributions do not add up, or it holds what JSON cannot.
    """
    columns = case.distances.shape[1]
    first, rest = explanation.contributions[:LISTED], explanation.contributions[LISTED:]
    try:
        return Told(
            method=method,
            category=case.category,
            image=case.name,
            size=(case.picture.shape[0], case.picture.shape[1]),
            grid=(case.distances.shape[0], columns),
            score=case.score,
            score_rule=case.score_rule,
            threshold=case.threshold,
            explained=explanation.explained,
            explained_as=explanation.explained_as,
            baseline=explanation.baseline,
            contributions=tuple(_listed(each, columns) for each in first),
            others=_others(rest),
            settings=_plain(explanation.settings),
            facts=_plain(explanation.facts),
            private=explanation.private,
            made_from=_plain(made_from or {}),
        )
    except ExplanationError:
        raise
    except (TypeError, ValueError) as error:
        msg = f"The explanation '{method}' of {case.name} cannot be written as JSON: {said(str(error))}."
        raise ExplanationError(msg) from error


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same as JSON has it; what it cannot hold is refused, and not written as something else."""
    plain: dict[str, Any] = json.loads(json.dumps(dict(values), allow_nan=False))
    return plain


def write_told(path: Path, told: Told) -> Path:
    """Write an explanation's numbers; the file appears only when it is complete.

    Returns:
        The file.
    """
    return write_file(path, json.dumps(_TOLD.dump_python(told, mode="json"), indent=1, allow_nan=False).encode())


def read_told(path: Path) -> Told:
    """Read what :func:`write_told` wrote.

    Raises:
        ExplanationError: If the file is none of ours, or its contributions do not add up.
        FileNotFoundError: If there is none.
    """
    try:
        return _TOLD.validate_python(read_json(path.read_bytes()))
    except ExplanationError as error:
        msg = f"{path}: {error}"
        raise ExplanationError(msg) from error
    except ValidationError as error:
        msg = f"{path} is no explanation of this package: {first_problem(error)}; explain again."
        raise ExplanationError(msg) from error
    except ValueError as error:
        msg = f"{path} is no JSON: {error}; explain again."
        raise ExplanationError(msg) from error


def read_explanations(output: Path) -> dict[Path, Told]:
    """All explanations below an output folder, by file, in the order of the files' paths; may be none.

    Raises:
        ExplanationError: If a file is unusable.
    """
    return {path: read_told(path) for path in sorted((output / INTERPRETABILITY).glob("*/*_*.json"))}


def _listed(contribution: Contribution, columns: int) -> Listed:
    row, column = divmod(contribution.patch, columns)
    return Listed(
        patch=contribution.patch,
        row=row,
        column=column,
        box=contribution.box,
        value=contribution.value,
        standard_error=contribution.standard_error,
    )


def _others(contributions: Sequence[Contribution]) -> Others:
    errors = [each.standard_error for each in contributions if each.standard_error is not None]
    return Others(
        patches=len(contributions),
        value=math.fsum(each.value for each in contributions),
        standard_error=math.fsum(errors) if errors else None,
    )
