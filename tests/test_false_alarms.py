"""Bounds against scipy's beta distribution, choices against trying every rank, promises against simulation."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.stats import beta

from anomalib_federated.false_alarms import (
    CONFIDENCE,
    OPERATING_POINTS,
    FalseAlarms,
    expecting,
    making_sure,
    pictures_expected,
    pictures_needed,
)

RATES = st.integers(1, 999).map(lambda permille: permille / 1000)
CONFIDENCES = st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99, 0.999])


@st.composite
def promises(draw: st.DrawFn, most: int = 3000) -> FalseAlarms:
    pictures = draw(st.integers(1, most))
    return FalseAlarms(pictures, draw(st.integers(1, pictures)), draw(CONFIDENCES))


@given(promises())
def test_the_bound_is_the_quantile_of_the_beta_distribution(promise: FalseAlarms) -> None:
    ranks = (promise.rank, promise.pictures + 1 - promise.rank)
    assert promise.upper_bound == pytest.approx(beta.ppf(promise.confidence, *ranks), rel=1e-9)
    assert promise.expected_rate == pytest.approx(beta.mean(*ranks))


@pytest.mark.parametrize(("pictures", "rank"), [(100_000, 1), (100_000, 5000), (100_000, 99_999), (99_999, 99_999)])
def test_the_bound_of_very_many_pictures(pictures: int, rank: int) -> None:
    expected = beta.ppf(0.95, rank, pictures + 1 - rank)
    assert FalseAlarms(pictures, rank).upper_bound == pytest.approx(expected, rel=1e-8)


def test_the_highest_of_a_few_in_closed_form() -> None:
    assert FalseAlarms(1, 1).upper_bound == pytest.approx(0.95, rel=1e-12)
    assert FalseAlarms(10, 1).upper_bound == pytest.approx(1 - 0.05**0.1, rel=1e-12)
    assert FalseAlarms(10, 10, 0.9).upper_bound == pytest.approx(0.9**0.1, rel=1e-12)


@given(st.integers(1, 400), RATES)
def test_the_expected_rate_is_the_most_that_the_wish_allows(pictures: int, rate: float) -> None:
    promise, wish = expecting(pictures, rate), Fraction(str(rate))
    allowed = [rank for rank in range(1, pictures + 1) if Fraction(rank, pictures + 1) <= wish]
    assert promise.rank == max(allowed, default=1)
    assert promise.keeps(rate) == bool(allowed) == (pictures >= pictures_expected(rate))


@given(st.integers(1, 999))
def test_a_rate_counts_as_it_was_written(permille: int) -> None:
    # 1 - 0.95 is a little above 0.05, and 0.07 * 100 a little above 7.
    for pictures in (19, 99, 199, 999):
        rank = max(1, permille * (pictures + 1) // 1000)
        assert expecting(pictures, permille / 1000).rank == rank
        assert expecting(pictures, 1 - (1000 - permille) / 1000).rank == rank


@given(st.integers(1, 400) | st.integers(400, 5000), RATES, CONFIDENCES)
@example(500, 0.01, 0.95)
@example(3000, 0.999, 0.5)
def test_being_sure_is_the_lowest_threshold_whose_bound_is_kept(pictures: int, rate: float, confidence: float) -> None:
    bounds = beta.ppf(confidence, np.arange(1, pictures + 1), pictures + 1 - np.arange(1, pictures + 1))
    sure = np.flatnonzero(bounds <= rate)
    needed = pictures_needed(rate, confidence=confidence)
    assert (pictures >= needed) == bool(sure.size)
    if sure.size:
        promise = making_sure(pictures, rate, confidence=confidence)
        assert promise.rank == sure[-1] + 1
        assert promise.upper_bound <= rate * (1 + 1e-9)
        # Wishing for what is expected of it gives the same threshold.
        assert expecting(pictures, promise.expected_rate, confidence=confidence) == promise
    else:
        with pytest.raises(ValueError, match=f"give at least {needed}"):
            making_sure(pictures, rate, confidence=confidence)


def test_how_many_pictures_it_takes() -> None:
    assert [pictures_expected(rate) for rate in OPERATING_POINTS] == [99, 19, 9]
    assert [pictures_needed(rate) for rate in OPERATING_POINTS] == [299, 59, 29]  # known from tolerance limits
    assert pictures_needed(0.5, confidence=0.5) == 1
    assert CONFIDENCE == 0.95


@given(st.lists(st.integers(-3, 3).map(float) | st.floats(-10, 10), min_size=1, max_size=40), st.data())
def test_the_threshold_is_the_score_of_that_rank_whatever_the_order(scores: list[float], data: st.DataObject) -> None:
    rank = data.draw(st.integers(1, len(scores)))
    threshold = FalseAlarms(len(scores), rank).threshold(data.draw(st.permutations(scores)))
    assert threshold == sorted(scores, reverse=True)[rank - 1]
    assert sum(score > threshold for score in scores) < rank  # with equal scores, fewer alarm


@pytest.mark.parametrize("decimals", [None, 1], ids=["distinct", "with ties"])
@pytest.mark.parametrize("pictures", [20, 100])
def test_the_promise_holds_for_a_skewed_distribution(pictures: int, decimals: int | None) -> None:
    rng = np.random.default_rng(0)
    promise = expecting(pictures, 0.05)
    rates = []
    for _ in range(2000):
        threshold = promise.threshold(np.round(rng.exponential(size=pictures), decimals or 15).tolist())
        # The chance of more in closed form; of rounded scores, to be above by half a step.
        rates.append(float(np.exp(-(threshold + (0.05 if decimals else 0)))))
    # 2000 draws: three standard errors of each figure.
    spread = beta.std(promise.rank, pictures + 1 - promise.rank) / np.sqrt(2000)
    exceeded = np.mean(np.array(rates) > promise.upper_bound)
    assert np.mean(rates) <= promise.expected_rate + 3 * spread
    assert exceeded <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 2000)
    if decimals is None:
        assert np.mean(rates) >= promise.expected_rate - 3 * spread
        assert exceeded >= 0.05 - 3 * np.sqrt(0.05 * 0.95 / 2000)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FalseAlarms(0, 1), "number of normal pictures is 0"),
        (lambda: FalseAlarms(2.0, 1), "number of normal pictures is 2.0"),
        (lambda: FalseAlarms(pictures=True, rank=1), "number of normal pictures is True"),
        (lambda: FalseAlarms(5, 0), "rank is 0"),
        (lambda: FalseAlarms(5, 6), "rank is 6"),
        (lambda: FalseAlarms(5, 2.5), "rank is 2.5"),
        (lambda: FalseAlarms(5, 1, 1.0), "confidence is 1.0"),
        (lambda: FalseAlarms(5, 1, 0.4), "confidence is 0.4"),
        (lambda: FalseAlarms(5, 1, float("nan")), "confidence is nan"),
        (lambda: expecting(5, 0), "false-alarm rate is 0"),
        (lambda: expecting(5, 1), "false-alarm rate is 1"),
        (lambda: expecting(5, float("nan")), "false-alarm rate is nan"),
        (lambda: expecting(-1, 0.5), "number of normal pictures is -1"),
        (lambda: making_sure(40, 0.05), "40 normal pictures cannot make sure .* give at least 59"),
        (lambda: pictures_needed(0.05, confidence=1.5), "confidence is 1.5"),
        (lambda: FalseAlarms(2, 1).threshold([1.0]), "1 scores, but the promise is for 2"),
        (lambda: FalseAlarms(1, 1).threshold([float("inf")]), "not a finite number"),
    ],
)
def test_what_cannot_be_is_refused(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
