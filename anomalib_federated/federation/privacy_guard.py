"""What stands between a site's pictures and its answers: its terms, its ledger, and the releases that it has made.

A release is entered into the ledger before its noise is drawn, and kept on disk before it is sent: whoever asks the
same again gets the same numbers again, and nothing more is given away. A process that dies between the two has spent
without sending; asked again, it spends again, or refuses.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection

from pydantic_core import from_json

from anomalib_federated.federation.privacy_terms import TRUST, PrivacyTerms
from anomalib_federated.files import write_file
from anomalib_federated.privacy.ledger import LEDGER, Ledger, PrivacyBudget
from anomalib_federated.privacy.report import PrivacyReport
from anomalib_federated.sole_writer import sole_writer

logger = logging.getLogger(__name__)

RELEASES, STATEMENT = "releases", "privacy_budget.json"
"""Folder of what was released, and the file that tells a person what was spent of what."""


class PrivacyError(ValueError):
    """A question asks for more than the site's privacy terms allow; nothing was computed or sent."""


class PrivacyGuard:
    """Holds a site to its terms.

    Args:
        terms: What it asks for.
    """

    def __init__(self, terms: PrivacyTerms) -> None:
        self.terms = terms

    @property
    def demands(self) -> bool:
        """Whether nothing may leave the site without a promise: its terms say so, or it has given one before."""
        return self.terms.epsilon is not None or (self.terms.folder / LEDGER).exists()

    def check(self, report: PrivacyReport) -> None:
        """Refuse a promise that is not what the terms ask for.

        Raises:
            PrivacyError: If it is not.
        """
        if report.unit != self.terms.unit:
            promised = f"one {report.unit}" if report.unit != "none" else "nothing"
            msg = (
                f"The privacy plugin '{report.plugin}' protects {promised}, but this site asks for one "
                f"{self.terms.unit}; agree on another plugin or other arguments, or have the site change its terms."
            )
            raise PrivacyError(msg)
        if report.noise_by not in TRUST[: TRUST.index(self.terms.noise_by) + 1]:
            msg = (
                f"The federation has the noise added by '{report.noise_by}', but this site trusts no more than "
                f"'{self.terms.noise_by}'; agree on that, or have the site change privacy.noise_by."
            )
            raise PrivacyError(msg)
        if report.noise_by == "honest_sites" == self.terms.noise_by and report.honest_sites > self.terms.honest_sites:
            msg = (
                f"The federation shares the noise among {report.honest_sites} sites, but this site trusts no more than "
                f"{self.terms.honest_sites} to add their part; agree on so many, or have the site change "
                "privacy.honest_sites."
            )
            raise PrivacyError(msg)

    def refuse_unprotected(self, question: str) -> None:
        """Refuse a question whose answer no promise covers.

        Args:
            question: What was asked for, in words.

        Raises:
            PrivacyError: If nothing may leave the site without a promise.
        """
        if self.demands:
            msg = f"This site answers nothing about its pictures without noise, so it does not tell {question}."
            raise PrivacyError(msg)

    def release(
        self,
        make: Callable[[], bytes],
        *,
        key: str,
        promise: PrivacyReport,
        spent: PrivacyReport,
        categories: Collection[str],
        what: str,
    ) -> bytes:
        """What is sent: what was sent before, if the same was asked before, else something new that is paid for.

        Args:
            make: Draws the noise and makes it.
            key: Tells this release from all others of this site.
            promise: Over all rounds of the federation; sets the budget if the terms leave it open.
            spent: What this release gives away.
            categories: Whose pictures it is about.
            what: In words, for the ledger.

        Raises:
            PrivacyError: If the promise is not what the terms ask for.
            BudgetExceededError: If it would go beyond the budget; nothing is spent then.
            LedgerError: If the ledger is damaged, or counts another unit or adjacency than is promised.
            OSError: If it cannot be entered, or kept; nothing may be sent then.
        """
        self.check(promise)
        releases = self.terms.folder / RELEASES
        releases.mkdir(parents=True, exist_ok=True)
        kept = releases / key
        with sole_writer(releases):
            if kept.is_file():
                logger.info("%s was released before, so it is sent again and nothing is spent", what)
                return kept.read_bytes()
            ledger = Ledger(self.terms.folder, self.terms.budget or PrivacyBudget.of(promise))
            ledger.spend(spent, categories, release=what)
            self._state(ledger, promise)
            write_file(kept, made := make())
            logger.info("%s: released, %.1f kB; epsilon spent so far: %s", what, len(made) / 1e3,
                        {name: round(value, 3) for name, value in ledger.epsilons().items()})  # fmt: skip
            return made

    def _state(self, ledger: Ledger, promise: PrivacyReport) -> None:
        told = ledger.statement() | {"promise": from_json(promise.to_json()), "in_words": list(promise.in_words)}
        write_file(self.terms.folder / STATEMENT, (json.dumps(told, indent=2, allow_nan=False) + "\n").encode())
