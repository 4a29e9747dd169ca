"""Rows of impossible size, and rows that say again what their site has said."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from torch import Tensor

from anomalib_federated.bank import MemoryBank
from anomalib_federated.interfaces.screening import Refusal, Screening
from anomalib_federated_plugins.screening.arguments import check_number
from anomalib_federated_plugins.screening.repeated_rows import repeated_rows
from anomalib_federated_plugins.screening.row_statistics import row_norms


class FiniteAndNorm(Screening):
    """Refuses rows whose norm is out of range, and rows that repeat an earlier one of their site.

    Without limits of your own, a site's range is set by the *other* sites, each of which counts once however many rows
    it sends: from the smallest norm of a middle one of them, divided by ``times``, to the largest norm of a middle one,
    multiplied by ``times``. Of an even number, the middle one that allows more is taken. Thus a bad site does not widen
    its own range, and as long as at most half of the others are bad, an honest site's range is no narrower than an
    honest site sets it. With fewer than two others nobody can tell who is bad, and there is no range.

    That all rows are finite is checked when a bank arrives, before any screening; here no norm overflows.

    It does not see rows of a usual norm, whatever they are: sign flips, defects, a backdoor.

    Args:
        norm_min: Smallest norm of a row; with ``norm_max`` ``None`` too, the other sites set the range, else it is 0.
        norm_max: Largest norm of a row; with ``norm_min`` ``None`` too, the other sites set the range, else it has no
            end.
        times: How much beyond that of the other sites; at least 1.
        repeat_within: A row repeats an earlier one if their distance is at most this share of its norm; 0 means equal
            rows.

    Raises:
        ValueError: If an argument is impossible.

    Example:
        >>> from dataclasses import replace
        >>> from anomalib_federated.testing import example_bank
        >>> good = [example_bank(site=site, seed=seed, offset=3.0) for seed, site in enumerate("abc")]
        >>> bad = replace(example_bank(site="z", seed=9), features=100 * good[0].features)
        >>> [(refusal.site, int(refusal.rows.sum())) for refusal in FiniteAndNorm().screen([*good, bad])]
        [('z', 16)]
    """

    def __init__(
        self,
        *,
        norm_min: float | None = None,
        norm_max: float | None = None,
        times: float = 2.0,
        repeat_within: float = 1e-3,
    ) -> None:
        self.norm_min = None if norm_min is None else check_number("norm_min", norm_min)
        self.norm_max = None if norm_max is None else check_number("norm_max", norm_max, least=self.norm_min or 0.0)
        self.times = check_number("times", times, least=1.0)
        self.repeat_within = check_number("repeat_within", repeat_within, most=1.0)

    def screen(self, banks: Sequence[MemoryBank]) -> list[Refusal]:
        """Refuse single rows; see the class."""
        norms = [row_norms(bank) for bank in banks]
        ends = [(float(each.min()), float(each.max())) for each in norms]
        refusals = []
        for number, bank in enumerate(banks):
            least, most = self._range([pair for other, pair in enumerate(ends) if other != number])
            outside = (norms[number] < least) | (norms[number] > most)
            repeats = repeated_rows(bank.features, norms[number] * self.repeat_within)
            rows = outside | repeats
            if bool(rows.any()):
                reason = _reason(outside, repeats, norms[number], least=least, most=most)
                refusals.append(Refusal(site=bank.sites[0], rows=rows, reason=reason))
        return refusals

    def _range(self, others: Sequence[tuple[float, float]]) -> tuple[float, float]:
        """Smallest and largest norm that a site may have, given those of the other sites."""
        if self.norm_min is None and self.norm_max is None and len(others) > 1:
            least = statistics.median_low([low for low, _ in others]) / self.times
            return least, statistics.median_high([high for _, high in others]) * self.times
        return self.norm_min or 0.0, math.inf if self.norm_max is None else self.norm_max


def _reason(outside: Tensor, repeats: Tensor, norms: Tensor, *, least: float, most: float) -> str:
    said = []
    if bool(outside.any()):
        said.append(
            f"norms of {int(outside.sum())} rows, {float(norms[outside].min()):.4g} to "
            f"{float(norms[outside].max()):.4g}, are outside {least:.4g} to {most:.4g}"
        )
    if bool((repeats & ~outside).any()):
        said.append(f"{int((repeats & ~outside).sum())} rows repeat an earlier row of the site")
    return "; ".join(said)
