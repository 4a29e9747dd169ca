"""``metrics.json``: what a method reached on a category, with all that is needed to read the figures."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config

from anomalib_federated.evaluation.figures import Figures
from anomalib_federated.files import write_file
from anomalib_federated.first_problem import first_problem
from anomalib_federated.interfaces.refused import Refused

METRICS = "metrics"
"""Folder of the figures in an output folder: ``metrics/<method>/<category>/metrics.json``."""


class ResultError(ValueError):
    """Results cannot be used; the message names the file."""


@dataclass(frozen=True, kw_only=True)
class SiteShare:
    """What a site put into a bank.

    Attributes:
        site: Its name.
        images: Training images that it saw; 0 if that is not told.
        patches: Patches of them.
        rows: Rows of the bank that are the site's.
        bytes_up: Bytes that it sent for the bank and for measuring it, see :mod:`anomalib_federated.messages.traffic`;
            0 if nothing had to be sent.
        bytes_down: Bytes that it was sent.
    """

    site: str
    images: int
    patches: int
    rows: int
    bytes_up: int
    bytes_down: int


@dataclass(frozen=True, kw_only=True)
class BankFacts:
    """The memory bank behind the figures.

    Attributes:
        rows: Its rows.
        bytes: Bytes of its rows.
        covering_radius: Largest distance of a training patch of any site to its nearest row; ``None`` if not measured.
        sites: What each site put in.
        privacy: What was promised about the pictures, each promise once, as
            :meth:`anomalib_federated.privacy.PrivacyReport.to_json` writes it; empty if nothing was.
        unpromised: How many of its sites nothing was promised about.
        refused: Rows that screenings refused, which are not in it.
    """

    rows: int
    bytes: int
    covering_radius: float | None
    sites: tuple[SiteShare, ...]
    privacy: tuple[dict[str, Any], ...] = ()
    unpromised: int = 0
    refused: tuple[Refused, ...] = ()

    @property
    def bytes_sent(self) -> int:
        """Bytes that all sites together sent."""
        return sum(site.bytes_up for site in self.sites)

    @property
    def pooled(self) -> bool:
        """Whether it was made of pictures in one place: nothing was sent, and no second site is known."""
        return self.bytes_sent == 0 and len(self.sites) <= 1

    @property
    def epsilon(self) -> float:
        """The largest epsilon that was promised about pictures; infinite if nothing was promised about some."""
        units = {promise.get("unit") for promise in self.privacy}
        if self.unpromised or not units or not units <= {"picture", "part"}:
            return math.inf
        return max(float(promise["epsilon"]) for promise in self.privacy)

    @property
    def bytes_received(self) -> int:
        """Bytes that all sites together were sent."""
        return sum(site.bytes_down for site in self.sites)


@with_config(ConfigDict(extra="forbid", allow_inf_nan=False))
@dataclass(frozen=True, kw_only=True)
class Result:
    """What one method reached on one category with one seed.

    Attributes:
        method: Name of the method.
        category: Name of the category.
        seed: Of the run.
        figures: What was measured.
        bank: The bank; ``None`` if only maps were given.
        image_score: How a picture got its score out of its patches' distances, see
            :attr:`anomalib_federated.models.image_score.ImageScore.words`; empty if only maps were given.
        settings: What decided the method, as plain data.
        versions: Of the packages and of Python.
    """

    method: str
    category: str
    seed: int
    figures: Figures
    bank: BankFacts | None = None
    image_score: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)


_RESULT = TypeAdapter(Result)
_FIGURES = frozenset(item.name for item in fields(Figures))


def write_result(output: Path, result: Result) -> Path:
    """Write ``<output>/metrics/<method>/<category>/metrics.json``; it appears only when it is complete.

    Figures stand at the top level, where other tools look for ``localization.auc_spro``.

    Returns:
        The file.
    """
    path = result_folder(output, result.method, result.category) / "metrics.json"
    content = _RESULT.dump_python(result, mode="json")
    return write_file(path, json.dumps(content | content.pop("figures"), indent=2, allow_nan=False).encode())


def result_folder(output: Path, method: str, category: str) -> Path:
    """Where a method's figures on a category lie."""
    return output / METRICS / method / category


def read_result(path: Path) -> Result:
    """Read what :func:`write_result` wrote.

    Raises:
        ResultError: If the file is none of ours.
    """
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        msg = f"{path} is no JSON: {error}; measure again."
        raise ResultError(msg) from error
    if isinstance(content, dict):
        content["figures"] = {name: content.pop(name) for name in _FIGURES & content.keys()}
    try:
        return _RESULT.validate_python(content)
    except ValidationError as error:
        msg = f"{path} is no metrics.json of this package: {first_problem(error)}; measure again."
        raise ResultError(msg) from error


def read_results(folder: Path) -> list[Result]:
    """All results below a folder, of one run or of several seeds, sorted by method, category and seed.

    Raises:
        ResultError: If there is none, a file is unusable, or two are of the same method, category and seed.
    """
    results: dict[tuple[str, str, int], Result] = {}
    for path in sorted(folder.glob(f"**/{METRICS}/*/*/metrics.json")):
        result = read_result(path)
        key = (result.method, result.category, result.seed)
        if key in results:
            msg = f"{path} tells of {key} what another file below {folder} tells too; give a folder of one experiment."
            raise ResultError(msg)
        results[key] = result
    if not results:
        msg = f"There is no {METRICS}/<method>/<category>/metrics.json below {folder}; evaluate a model first."
        raise ResultError(msg)
    return [results[key] for key in sorted(results)]


def of_method(results: Sequence[Result], method: str) -> list[Result]:
    """The results of one method."""
    return [result for result in results if result.method == method]
