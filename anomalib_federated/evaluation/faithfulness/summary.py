"""From the measures of single pictures to means with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median

import numpy as np
from scipy.stats import bootstrap

from anomalib_federated.evaluation.faithfulness.figures import Check, Figure, MethodFaithfulness
from anomalib_federated.evaluation.figures import Interval
from anomalib_federated.explanations.faithfulness.measure import Faithfulness, Refusal
from anomalib_federated.explanations.faithfulness.sanity import passes

FEWEST = 5
"""Pictures below which a mean gets no interval: so few, drawn again, tell too little."""


def method_faithfulness(
    explainer: str,
    measured: Sequence[Faithfulness | Refusal],
    *,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> MethodFaithfulness:
    """The figures of one method.

    Args:
        explainer: Its name.
        measured: Of each picture.
        resamples: Bootstrap resamples behind the intervals; 0 makes none.
        confidence: Of the intervals.
        seed: Of the resamples.
    """

    def figure(values: Sequence[float | None]) -> Figure | None:
        return mean_figure(values, resamples=resamples, confidence=confidence, seed=seed)

    def check(correlations: Sequence[float | None]) -> Check | None:
        sizes = [abs(each) for each in correlations if each is not None]
        found = figure(sizes)
        return None if found is None else Check(correlation=found, passed=passes(sizes))

    explained = [each for each in measured if isinstance(each, Faithfulness)]
    return MethodFaithfulness(
        explainer=explainer,
        explained=len(explained),
        refusals=tuple(each.reason for each in measured if isinstance(each, Refusal)),
        deletion=figure([each.deletion for each in explained]),
        insertion=figure([each.insertion for each in explained]),
        pointing=figure([each.pointing for each in explained]),
        overlap=figure([each.overlap for each in explained]),
        bank=check([each.bank for each in explained]),
        backbone=check([each.backbone for each in explained]),
        seconds=median(each.seconds for each in explained) if explained else None,
    )


def mean_figure(
    values: Sequence[float | None], *, resamples: int = 1000, confidence: float = 0.95, seed: int = 0
) -> Figure | None:
    """Mean of the values that are defined, with a percentile bootstrap interval.

    Args:
        values: Of each picture.
        resamples: How many; 0 makes no interval.
        confidence: Of the interval.
        seed: Decides the resamples.

    Returns:
        ``None`` if no value is defined. There is no interval for fewer than :data:`FEWEST`.

    Example:
        >>> mean_figure([0.25, None, 0.75])
        Figure(mean=0.5, pictures=2, interval=None)
    """
    defined = [value for value in values if value is not None]
    if not defined:
        return None
    interval = None
    if resamples and len(defined) >= FEWEST:
        low, high = bootstrap(
            (np.array(defined),),
            np.mean,
            n_resamples=resamples,
            confidence_level=confidence,
            method="percentile",
            rng=np.random.default_rng(seed),
        ).confidence_interval
        interval = Interval(low=float(low), high=float(high))
    return Figure(mean=fmean(defined), pictures=len(defined), interval=interval)
