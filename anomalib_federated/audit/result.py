"""What an audit found, in figures and in words."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Literal

from anomalib_federated.privacy.gaussian import epsilon_of
from anomalib_federated.privacy.report import Adjacency, Unit

Method = Literal["canary", "one_run"]
DELTA = 1e-5
"""Of the bounds, where nothing is promised."""
_ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True)
class AuditResult:
    """A promise, and what was found of it.

    An audit can refute a promise, never prove it: a bound of 0 shows nothing, and one near the promise shows that the
    audit would have seen a mechanism that gives away a little more.

    Attributes:
        plugin: Name of the privacy plugin.
        unit: What is promised about: see :class:`anomalib_federated.privacy.PrivacyReport`. The audit is always about a
            picture.
        adjacency: What nobody is to tell.
        epsilon: The promise; ``None`` if there is none.
        delta: Of the promise; where there is none, of the bounds.
        mu: What the noise of the promise amounts to, see :mod:`anomalib_federated.privacy.gaussian`.
        setting: On what was audited, in words.
        method: ``canary``: two data sets, told apart over many runs. ``one_run``: many canaries in one run.
        runs: Runs with the canary, and as many without; or canaries of the one run.
        confidence: Chance that all bounds found are ones.
        epsilon_found: At least so large is epsilon, whatever the mechanism.
        mu_found: At least so large is the mu that the report's noise must amount to; ``None`` after one run.
        membership_auc: How well ordinary pictures that were in are told from others: 0.5 is guessing, 1 is knowing.
    """

    plugin: str
    unit: Unit
    adjacency: Adjacency
    epsilon: float | None
    delta: float
    mu: float | None
    setting: str
    method: Method
    runs: int
    confidence: float
    epsilon_found: float
    mu_found: float | None
    membership_auc: float | None

    @property
    def epsilon_if_gaussian(self) -> float | None:
        """At least so large is epsilon if the mechanism is Gaussian."""
        return None if self.mu_found is None else epsilon_of(self.mu_found, self.delta)

    @property
    def claims(self) -> bool:
        """Whether something is promised about pictures."""
        return self.unit in {"picture", "part"}

    @property
    def refuted(self) -> bool:
        """Whether more was found than is promised."""
        if not self.claims or self.epsilon is None or self.mu is None:
            return False
        too_large = self.epsilon_found > self.epsilon * (1 + _ROUNDING)
        return too_large or (self.mu_found is not None and self.mu_found > self.mu * (1 + _ROUNDING))

    @property
    def in_words(self) -> tuple[str, ...]:
        """The verdict in sentences."""
        sure = f"with {self.confidence:.4g} confidence"
        found = f"epsilon is at least {self.epsilon_found:.3g} for a single picture, whatever the mechanism, {sure}"
        if self.epsilon_if_gaussian is not None:
            found += f"; at least {self.epsilon_if_gaussian:.3g} if its noise is Gaussian"
        if not self.claims:
            what = "only rows are spoken of" if self.unit == "row" else "nothing is promised"
            return (f"Nothing is claimed about pictures by '{self.plugin}' ({what}), so nothing can be refuted.",
                    f"What was found: {found}.")  # fmt: skip
        claim = f"'{self.plugin}' claims epsilon {self.epsilon:.3g} (delta {self.delta:g}) per {self.unit}"
        if self.refuted:
            why = ""
            if self.epsilon is not None and self.epsilon_found <= self.epsilon:
                why = f" Its noise amounts to a mu of {self.mu:.3g} by the report, but to at least {self.mu_found:.3g}."
            return (f"REFUTED: {claim}, but {found}.{why}",)
        if max(self.epsilon_found, self.epsilon_if_gaussian or 0.0) == 0:
            return (f"Not refuted, but nothing was shown: {claim}, and so few runs tell nothing; give more.",)
        return (
            f"Not refuted: {claim}; {found}.",
            "An audit cannot prove a promise: the nearer the bound lies to the claim, the smaller the fault that it "
            "would have shown.",
        )

    def to_json(self) -> str:
        """All of it as text."""
        values = asdict(self) | {
            "epsilon_if_gaussian": self.epsilon_if_gaussian,
            "refuted": self.refuted,
            "in_words": self.in_words,
        }
        return json.dumps(values, indent=2, allow_nan=False) + "\n"
