"""What is promised about the pictures behind a bank or a sum, in figures and in words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError, with_config

from anomalib_federated.privacy.gaussian import ACCOUNTANT, composed, epsilon_of, of_group
from anomalib_federated.untrusted import read_json, said

Unit = Literal["none", "row", "picture", "part"]
Adjacency = Literal["none", "add_or_remove", "replace"]
NoiseBy = Literal["nobody", "centre", "each_site", "honest_sites"]
Sentence = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Sentences = Annotated[tuple[Sentence, ...], Field(max_length=100)]
Positive = Annotated[float, Field(gt=0)]

MAX_TEXT = 1 << 16
"""Characters of a report as text."""
_ROUNDING = 1e-9
_PROMISED = {"row": "row of the bank", "picture": "picture", "part": "part, with all its pictures,"}
_NOISE_BY = {
    "centre": "Each site sends exact figures; the centre is trusted to add the noise and to forget them.",
    "each_site": "Each site adds all of the noise itself, so nobody outside the site needs to be trusted.",
    "honest_sites": (
        "Each site adds a part of the noise: the promise holds against all who see only the sum of all sites (secure "
        "aggregation), while at least {honest} sites add theirs."
    ),
}


class PrivacyReportError(ValueError):
    """A privacy report is impossible, or promises more than its own figures give."""


@with_config(ConfigDict(extra="forbid", strict=True, allow_inf_nan=False))
@dataclass(frozen=True, kw_only=True)
class PrivacyReport:
    """A promise, and what it rests on; without one (``unit`` is ``none``), only what is sent.

    Attributes:
        plugin: Name of the privacy plugin.
        unit: What is protected: one ``row`` of a bank (which says nothing of a picture), one ``picture``, or one
            ``part`` with all its pictures.
        adjacency: What nobody can tell: whether a unit was there (``add_or_remove``), or whether it was another one
            (``replace``; how many there are is then known).
        mechanism: How it is done, in a sentence.
        clip: Longest length of one unit's vector, or of a row, in the space of what is released.
        noise_multipliers: Of each release about the same unit, the standard deviation of the noise divided by the most
            that one unit can change what is released (Euclidean). Of a mechanism that is not Gaussian, those of a
            Gaussian that gives away no less.
        epsilon: The promise: see :attr:`in_words`.
        delta: Chance that it does not hold.
        accountant: How epsilon was computed.
        covers: What is sent under the promise.
        exposes: What is sent beside it without any; a promise about pictures allows none.
        public: Where what was not learnt from the sites' pictures comes from: packages, textures, declared folders.
        noise_by: Who adds the noise.
        honest_sites: How many sites must add their part of the noise.

    Raises:
        PrivacyReportError: If the fields do not fit together, or epsilon is smaller than they allow.

    Example:
        >>> report = PrivacyReport(
        ...     plugin="example", unit="picture", adjacency="add_or_remove", mechanism="A noisy sum.", clip=1.0,
        ...     noise_multipliers=(2.0,), epsilon=2.0, delta=1e-5, covers=("the sum",), noise_by="each_site",
        ... )
        >>> PrivacyReport.from_json(report.to_json(), source="example") == report
        True
    """

    plugin: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    unit: Unit
    adjacency: Adjacency = "none"
    mechanism: Sentence
    clip: Positive | None = None
    noise_multipliers: Annotated[tuple[Positive, ...], Field(max_length=10_000)] = ()
    epsilon: Positive | None = None
    delta: Annotated[float, Field(gt=0, lt=1)] | None = None
    accountant: Sentence = ACCOUNTANT
    covers: Sentences = ()
    exposes: Sentences = ()
    public: Sentences = ()
    noise_by: NoiseBy = "nobody"
    honest_sites: Annotated[int, Field(ge=1)] = 1

    def __post_init__(self) -> None:
        for text in (self.plugin, self.mechanism, self.accountant, *self.covers, *self.exposes, *self.public):
            if not text.isprintable():
                self._refuse(f"{ascii(text)[:100]} cannot be printed")
        promised = (self.adjacency != "none", self.noise_by != "nobody", bool(self.noise_multipliers),
                    self.epsilon is not None, self.delta is not None, self.clip is not None)  # fmt: skip
        if any(promised) != all(promised) or any(promised) != (self.unit != "none"):
            self._refuse(
                "a promise needs a unit, adjacency, noise, who adds it, a clip, epsilon and delta: all or none"
            )
        if (self.honest_sites > 1) and self.noise_by != "honest_sites":
            self._refuse(f"honest_sites is {self.honest_sites}, though the noise is not shared among sites")
        if self.unit in {"picture", "part"} and self.exposes:
            self._refuse(f"a promise per {self.unit} must cover all that is sent, but {self.exposes[0]} is not covered")
        if self.epsilon is not None and self.delta is not None:
            least = epsilon_of(self.mu, self.delta)
            if self.epsilon < least * (1 - _ROUNDING) - _ROUNDING:
                self._refuse(f"epsilon is {self.epsilon:g}, but its noise gives no less than {least:g}")

    @property
    def mu(self) -> float:
        """Privacy loss of one unit over all releases, see :mod:`anomalib_federated.privacy.gaussian`.

        Infinite if nothing is promised.
        """
        return composed(1 / z for z in self.noise_multipliers) if self.noise_multipliers else math.inf

    @property
    def per_picture(self) -> bool:
        """Whether something is promised about pictures, and not about rows alone."""
        return self.unit in {"picture", "part"}

    @property
    def in_words(self) -> tuple[str, ...]:
        """The promise in sentences that need no mathematics."""
        if self.epsilon is None or self.delta is None:
            return ("Nothing is promised: what is sent can be traced back to single pictures.",)
        told = {"add_or_remove": "was among them or not", "replace": "was this one or another"}[self.adjacency]
        sentences = [
            f"Whoever sees what is sent can hardly tell whether one {_PROMISED[self.unit]} {told}: nothing that they "
            f"may see is more than {_times(self.epsilon)} times as likely in one case as in the other "
            f"(epsilon {self.epsilon:.3g}), but for a chance of {self.delta:g} (delta)."
        ]
        if self.unit == "row":
            sentences.append(
                "This is a promise per row, given which rows were selected; it promises nothing about a picture, of "
                "which many rows may come."
            )
        if self.unit == "picture":
            six = epsilon_of(of_group(self.mu, 6), self.delta)
            sentences.append(
                f"One picture is protected so. A part photographed six times is six pictures: for it, epsilon is "
                f"{six:.3g}."
            )
        if self.unit == "part":
            sentences.append("A part of which there are pictures in several categories counts once in each of them.")
        return (*sentences, _NOISE_BY[self.noise_by].format(honest=self.honest_sites))

    def to_json(self) -> str:
        """The report as text, which :meth:`from_json` reads."""
        return _REPORT.dump_json(self, indent=2).decode() + "\n"

    @classmethod
    def from_json(cls, given: str, *, source: str) -> PrivacyReport:
        """Read and check a report that came from outside.

        Args:
            given: What :meth:`to_json` wrote; not trusted.
            source: Where it comes from, for error messages.

        Raises:
            PrivacyReportError: If it is not valid.
        """
        try:
            return _parse(given)
        except ValueError as error:
            msg = f"The privacy report from {source} cannot be used: {_problem(error)}"
            raise PrivacyReportError(msg) from error

    def _refuse(self, problem: str) -> None:
        msg = f"The privacy report of '{ascii(self.plugin)[1:-1][:100]}' is refused: {problem}."
        raise PrivacyReportError(msg)


def _times(epsilon: float) -> str:
    """The factor e^epsilon, as one writes it."""
    factor = math.exp(min(epsilon, 700))
    return f"{factor:,.0f}" if 1e3 <= factor < 1e9 else f"{factor:.3g}"


def _parse(given: str) -> PrivacyReport:
    if len(given) > MAX_TEXT:
        msg = f"it has {len(given)} characters, more than the {MAX_TEXT} accepted"
        raise ValueError(msg)
    read_json(given)  # refuses what pydantic lets pass: fields that come twice
    return _REPORT.validate_json(given)


def _problem(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return said(str(error))
    problem = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in problem["loc"])
    return said(f"{where}: {problem['msg']}" if where else problem["msg"])


_REPORT = TypeAdapter(PrivacyReport)
