"""A rule that tells runs with a picture from runs without, found on one half of the runs and judged on the other.

All that is tried, which score, which threshold, which way round, is tried on the first half alone. However much of it
there is, the alarms on the second half are those of one fixed rule, which is what the bounds need. Within the first
half, scores are combined on one quarter of the runs and chosen on another, so that a combination that fits its own
quarter by chance is not preferred.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from anomalib_federated.audit.bounds import Alarms

Scores = npt.NDArray[np.float64]
MOST_THRESHOLDS = 30
"""Tried per score; more of them find more that was chance."""
_RIDGE = 1e-9
"""Of the pooled variance: what never changes does not stop the others from being combined."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Rule:
    """Says that the picture was there if ``scores @ direction`` is at least the threshold.

    Attributes:
        direction: Shape ``(k,)``.
        threshold: Of the combined score.
    """

    direction: Scores
    threshold: float

    def alarms(self, present: Scores, absent: Scores) -> Alarms:
        """How often it says so.

        Args:
            present: Scores of runs with the picture, shape ``(n, k)``.
            absent: Scores of runs without, shape ``(m, k)``.
        """
        right, false = (int((scores @ self.direction >= self.threshold).sum()) for scores in (present, absent))
        return Alarms(right=right, runs_with=len(present), false=false, runs_without=len(absent))


def best_alarms(present: Scores, absent: Scores, *, bound: Callable[[Alarms], float]) -> Alarms:
    """Find the rule of the highest bound on the first half of the runs, and count its alarms on the second.

    Args:
        present: Scores of runs with the picture, shape ``(n, k)``, finite, ``n >= 8``.
        absent: Scores of runs without, shape ``(m, k)``, likewise.
        bound: What is to be shown; of high confidence, so that what was lucky is not preferred.

    Raises:
        ValueError: If there are too few runs, or scores are of other shapes or not finite.

    Example:
        >>> from anomalib_federated.audit.bounds import mu_bound
        >>> generator = np.random.default_rng(0)
        >>> absent = generator.normal(0, 1, (4000, 1))
        >>> present = generator.normal(1, 1, (4000, 1))
        >>> round(mu_bound(best_alarms(present, absent, bound=mu_bound)), 1)
        0.9
    """
    for scores in (present, absent):
        if scores.ndim != 2 or len(scores) < 8 or scores.shape[1:] != present.shape[1:]:
            msg = f"Scores of shape {scores.shape} cannot be judged; give (runs, scores) with at least 8 runs."
            raise ValueError(msg)
        if not bool(np.isfinite(scores).all()):
            msg = "A score of a run is not finite; what is released must give finite scores."
            raise ValueError(msg)
    combined, chosen, judged = zip(*(_parts(scores) for scores in (present, absent)), strict=True)
    directions = (*np.eye(present.shape[1]), _discriminant(*combined))
    best = max(_rules(directions, np.concatenate(chosen)), key=lambda rule: bound(rule.alarms(*chosen)))
    return best.alarms(*judged)


def _parts(scores: Scores) -> tuple[Scores, Scores, Scores]:
    """Two quarters and a half."""
    half = len(scores) // 2
    return scores[: half // 2], scores[half // 2 : half], scores[half:]


def _rules(directions: Sequence[Scores], scores: Scores) -> Iterator[Rule]:
    """Both ways round, with thresholds among the scores."""
    for direction in directions:
        for way in (direction, -direction):
            both = np.unique(scores @ way)
            for threshold in both[:: max(1, len(both) // MOST_THRESHOLDS)]:
                yield Rule(direction=way, threshold=float(threshold))


def _discriminant(present: Scores, absent: Scores) -> Scores:
    """Where the means lie apart most, in standard deviations within."""
    within = np.atleast_2d(np.cov(present.T) + np.cov(absent.T)) / 2
    apart = present.mean(axis=0) - absent.mean(axis=0)
    widths = np.sqrt(np.diag(within))
    widths[widths == 0] = 1.0
    correlated = within / np.outer(widths, widths) + _RIDGE * np.eye(len(apart))
    found: Scores = np.linalg.solve(correlated, apart / widths) / widths
    return found
