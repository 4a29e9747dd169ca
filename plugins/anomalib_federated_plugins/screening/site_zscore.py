"""Sites whose rows, taken together, are unlike those of the other sites."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from anomalib_federated.bank import MemoryBank
from anomalib_federated.interfaces.screening import Refusal, Screening
from anomalib_federated_plugins.screening.arguments import check_number
from anomalib_federated_plugins.screening.row_statistics import mean_row, row_norms, spread

Vector = npt.NDArray[np.float64]

OF_NORMAL = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""
FEW = 20
"""Rows of which a statistic differs by chance about as much as the floor allows."""
LEAST = np.finfo(np.float64).tiny
"""Of what a logarithm is taken; rows may all be zero."""


class SiteZScore(Screening):
    """Refuses sites of which a statistic is too many robust standard deviations from the middle of all sites.

    The plain z-score of one of ``m`` sites cannot exceed ``(m - 1) / sqrt(m)``, 1.79 of five sites, because an outlier
    widens the sample standard deviation that it is measured by. Here the middle is the median, and the standard
    deviation is 1.4826 times the median absolute deviation, neither of which fewer than half of the sites can move far
    (Iglewicz and Hoaglin 1993, *How to Detect and Handle Outliers*). With one attacker of three sites it fires; with as
    many attackers of one kind as honest sites it refuses nobody, since nobody can tell which half is which.

    Statistics of a site: the mean and the largest norm of its rows, and their spread (standard deviation over all
    coordinates together), each as a logarithm; and the distance of their mean from the middle of the sites (the
    coordinate-wise median of their means), in units of the middle mean norm. Of this distance only a large one is
    unusual: whoever is nearest to the middle of all sites is beyond suspicion.

    It sees scaling, noise, flipped signs and wrong settings: whatever moves a whole bank. It does not see a few bad
    rows among good ones, nor an attacker who keeps these statistics as they are.

    Args:
        threshold: Robust standard deviations beyond which a site is refused.
        floor: Least standard deviation, so that sites which are nearly alike are not refused for a trifle: of
            logarithms and distances alike, 0.1 means a tenth. No site within ``threshold * floor`` of the middle is
            ever refused. A site of few rows has a wider one, by ``sqrt(1 + 20 / rows)``, since what it sends differs
            more by chance.

    Raises:
        ValueError: If an argument is impossible.

    Example:
        >>> from dataclasses import replace
        >>> from anomalib_federated.testing import example_bank
        >>> good = [example_bank(site=site, seed=seed, offset=3.0) for seed, site in enumerate("abcd")]
        >>> bad = replace(example_bank(site="z", seed=9), features=-good[0].features)
        >>> [(refusal.site, refusal.reason[:37]) for refusal in SiteZScore().screen([*good, bad])]
        [('z', 'distance from the middle of the sites')]
    """

    def __init__(self, *, threshold: float = 3.5, floor: float = 0.1) -> None:
        self.threshold = check_number("threshold", threshold)
        self.floor = check_number("floor", floor)

    def screen(self, banks: Sequence[MemoryBank]) -> list[Refusal]:
        """Refuse whole sites; see the class."""
        logarithms, distance = _statistics(banks)
        floors = self.floor * np.sqrt(1 + FEW / np.array([len(bank) for bank in banks]))
        scores = {name: _scores(np.log(values.clip(LEAST)), floors) for name, values in logarithms.items()}
        scores |= {
            name: np.where(values > np.median(values), _scores(values, floors), 0.0)
            for name, values in distance.items()
        }
        shown = logarithms | distance
        refusals = []
        for number, bank in enumerate(banks):
            reasons = [
                f"{name} {shown[name][number]:.3g}, {np.median(shown[name]):.3g} in the middle: "
                f"{of_sites[number]:.3g} robust standard deviations, more than {self.threshold:g}"
                for name, of_sites in scores.items()
                if of_sites[number] > self.threshold
            ]
            if reasons:
                rows = torch.ones(len(bank), dtype=torch.bool)
                refusals.append(Refusal(site=bank.sites[0], rows=rows, reason="; ".join(reasons)))
        return refusals


def _statistics(banks: Sequence[MemoryBank]) -> tuple[dict[str, Vector], dict[str, Vector]]:
    """Of each site, those that are compared by their logarithms, and the distance of its mean from the middle."""
    means, norms = [mean_row(bank) for bank in banks], [row_norms(bank) for bank in banks]
    logarithms = {
        "mean norm": np.array([float(each.mean()) for each in norms]),
        "largest norm": np.array([float(each.max()) for each in norms]),
        "spread": _filled(np.array([spread(bank, mean) for bank, mean in zip(banks, means, strict=True)])),
    }
    of_means = torch.stack(means).numpy()
    distances = np.linalg.norm(of_means - np.median(of_means, axis=0), axis=1)
    unit = max(float(np.median(logarithms["mean norm"])), LEAST)
    return logarithms, {"distance from the middle of the sites": distances / unit}


def _filled(spreads: Vector) -> Vector:
    """The spreads, where a single row, which has none, gets that of the middle site."""
    known = spreads[~np.isnan(spreads)]
    return np.where(np.isnan(spreads), np.median(known) if len(known) else 0.0, spreads)


def _scores(values: Vector, floors: Vector) -> Vector:
    """How many robust standard deviations each value is from the middle."""
    deviations: Vector = np.abs(values - np.median(values))
    scale = np.maximum(OF_NORMAL * float(np.median(deviations)), floors)
    # With a floor of 0, equal values are no deviation, and any other one is infinitely far.
    return np.divide(deviations, scale, out=np.where(deviations > 0, np.inf, 0.0), where=scale > 0)
