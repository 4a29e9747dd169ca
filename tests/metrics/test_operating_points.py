"""Thresholds against trying every score, rates against scikit-learn's ROC curve."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_curve

from anomalib_federated.metrics import rates_at, threshold_at_tnr

SCORES = st.lists(st.integers(-5, 5).map(float) | st.floats(-10, 10), min_size=1, max_size=60)
PERCENTS = st.integers(1, 99)


@given(SCORES, PERCENTS)
def test_is_the_smallest_score_that_new_scores_stay_below_often_enough(scores, percent):
    threshold = threshold_at_tnr(scores, percent / 100)
    # The next of n + 1 exchangeable scores is at or below the k-th smallest of the others with a chance of k / (n + 1).
    enough = [t for t in scores if Fraction(sum(s <= t for s in scores), len(scores) + 1) >= Fraction(percent, 100)]
    assert threshold == min(enough, default=max(scores))


@given(SCORES, PERCENTS, st.randoms(use_true_random=False))
def test_order_does_not_matter(scores, percent, random):
    assert threshold_at_tnr(random.sample(scores, len(scores)), percent / 100) == threshold_at_tnr(
        scores, percent / 100
    )


@pytest.mark.parametrize(
    ("images", "tnr", "alarms"),
    [
        *((98, 0.99, 0), (99, 0.99, 0), (198, 0.99, 0), (199, 0.99, 1), (299, 0.99, 2)),
        *((19, 0.95, 0), (38, 0.95, 0), (39, 0.95, 1), (1, 0.5, 0)),
        *((99, 0.07, 92), (99, 0.29, 70)),
    ],
)
def test_how_many_of_n_alarm(images, tnr, alarms):
    scores = np.random.default_rng(0).permutation(images).astype(np.float64)
    threshold = threshold_at_tnr(scores, tnr)
    assert (scores > threshold).sum() == alarms
    assert alarms or threshold == scores.max()


@given(SCORES, SCORES, PERCENTS)
def test_rates_lie_on_scikit_learns_roc_curve(good, defective, percent):
    threshold = threshold_at_tnr(good, percent / 100)
    tpr, tnr = rates_at(threshold, good=good, defective=defective)
    # scikit-learn calls >= a detection: the next number up makes it the same question.
    fpr, sensitivity, thresholds = roc_curve(
        [0] * len(good) + [1] * len(defective), [*good, *defective], drop_intermediate=False
    )
    at = np.flatnonzero(thresholds > threshold)[-1]
    assert (tpr, tnr) == pytest.approx((sensitivity[at], 1 - fpr[at]), abs=1e-12)
    assert tnr >= percent / 100 - 1e-12


def test_a_score_at_the_threshold_is_no_alarm():
    assert rates_at(0.5, good=[0.5, 0.6], defective=[0.5, 0.6, 0.7, 0.8]) == (0.75, 0.5)


def test_mean_tnr_on_new_images_is_as_documented():
    rng = np.random.default_rng(0)
    tnrs = [
        rates_at(threshold_at_tnr(rng.normal(size=40), 0.95), good=rng.normal(size=400), defective=[])[1]
        for _ in range(500)
    ]
    assert np.mean(tnrs) == pytest.approx(39 / 41, abs=0.005)


def test_no_test_images_of_a_kind():
    assert rates_at(0.5, good=[], defective=[0.6]) == (1.0, None)
    assert rates_at(0.5, good=[0.6], defective=[]) == (None, 0.0)


@pytest.mark.parametrize("tnr", [0, 1, -0.1, 1.01, float("nan")])
def test_bad_tnr(tnr):
    with pytest.raises(ValueError, match=r"tnr must be in \(0, 1\)"):
        threshold_at_tnr([1.0], tnr)


def test_bad_scores():
    with pytest.raises(ValueError, match="at least one normal validation image"):
        threshold_at_tnr([], 0.95)
    with pytest.raises(ValueError, match=r"validation_scores .* number 1 is not"):
        threshold_at_tnr([1.0, np.nan], 0.95)
    with pytest.raises(ValueError, match=r"validation_scores .* shape \(1, 1\)"):
        threshold_at_tnr([[1.0]], 0.95)
    with pytest.raises(ValueError, match=r"defective .* number 0 is not"):
        rates_at(0.5, good=[1.0], defective=[np.inf])
