"""Bounds against exact chances, scipy's intervals, and mechanisms whose epsilon is known."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from scipy.stats import binom, binomtest, norm

from anomalib_federated.audit.bounds import Alarms, epsilon_bound, mu_bound

RUNS = 60


def chance_that(holds, *, right, false):
    """Exactly, over all that can come out of ``RUNS`` runs with and without."""
    with_picture, without = (binom.pmf(np.arange(RUNS + 1), RUNS, chance) for chance in (right, false))
    return sum(
        with_picture[hits] * without[errors]
        for hits in range(RUNS + 1)
        for errors in range(RUNS + 1)
        if with_picture[hits] * without[errors] > 1e-12
        and holds(Alarms(right=hits, runs_with=RUNS, false=errors, runs_without=RUNS))
    )


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 3.0])
def test_the_bound_is_one_for_randomised_response(epsilon):
    """Which says the truth with probability expit(epsilon): no attacker is better."""
    right = float(expit(epsilon))
    too_large = chance_that(lambda alarms: epsilon_bound(alarms, delta=0.0) > epsilon, right=right, false=1 - right)
    assert too_large <= 0.05


@pytest.mark.parametrize(("mu", "threshold"), [(0.3, 0.0), (1.0, 0.5), (2.5, 2.0)])
def test_the_bound_is_one_for_gaussians(mu, threshold):
    right, false = norm.sf(threshold - mu), norm.sf(threshold)
    assert chance_that(lambda alarms: mu_bound(alarms) > mu, right=right, false=false) <= 0.05


def test_delta_is_taken_off():
    """A mechanism that gives the picture away with probability delta, and else nothing, has epsilon 0."""
    delta = 0.1
    assert chance_that(lambda alarms: epsilon_bound(alarms, delta=delta) > 0, right=delta, false=0.0) <= 0.05
    assert chance_that(lambda alarms: epsilon_bound(alarms, delta=0.0) > 0, right=delta, false=0.0) > 0.05


def test_many_runs_come_near_the_truth():
    epsilon, mu, runs = 1.0, 1.0, 100_000
    right = round(float(expit(epsilon)) * runs)
    response = Alarms(right=right, runs_with=runs, false=runs - right, runs_without=runs)
    assert 0.95 * epsilon < epsilon_bound(response, delta=1e-5) < epsilon
    gaussian = Alarms(
        right=round(norm.sf(-0.5) * runs), runs_with=runs, false=round(norm.sf(0.5) * runs), runs_without=runs
    )
    assert 0.95 * mu < mu_bound(gaussian) < mu


@pytest.mark.parametrize(("right", "false"), [(0, 0), (20, 3), (50, 50), (7, 49)])
def test_intervals_are_those_of_scipy(right, false):
    alarms = Alarms(right=right, runs_with=50, false=false, runs_without=50)
    least = binomtest(right, 50).proportion_ci(0.95, method="exact").low
    most = binomtest(false, 50).proportion_ci(0.95, method="exact").high
    assert mu_bound(alarms) == pytest.approx(norm.ppf(least) - norm.ppf(most))
    expected = [math.log(a / b) for a, b in ((least - 1e-3, most), (1 - most - 1e-3, 1 - least)) if a > 0]
    assert epsilon_bound(alarms, delta=1e-3) == pytest.approx(max(expected, default=-math.inf))


@given(
    right=st.integers(0, 100), false=st.integers(0, 99), delta=st.sampled_from([0.0, 1e-5, 0.1]),
    confidence=st.sampled_from([0.9, 0.95, 0.999]),
)  # fmt: skip
def test_more_errors_never_raise_a_bound(right, false, delta, confidence):
    alarms = Alarms(right=right, runs_with=100, false=false, runs_without=100)
    worse = [Alarms(right=right, runs_with=100, false=false + 1, runs_without=100)]
    if right:
        worse.append(Alarms(right=right - 1, runs_with=100, false=false, runs_without=100))
    for other in worse:
        assert epsilon_bound(other, delta=delta, confidence=confidence) <= epsilon_bound(
            alarms, delta=delta, confidence=confidence
        )
        assert mu_bound(other, confidence=confidence) <= mu_bound(alarms, confidence=confidence)


@given(right=st.integers(0, 100), false=st.integers(0, 100))
def test_more_confidence_never_raises_a_bound(right, false):
    alarms = Alarms(right=right, runs_with=100, false=false, runs_without=100)
    assert epsilon_bound(alarms, delta=1e-5, confidence=0.99) <= epsilon_bound(alarms, delta=1e-5, confidence=0.9)
    assert mu_bound(alarms, confidence=0.99) <= mu_bound(alarms, confidence=0.9)


@pytest.mark.parametrize("counts", [(0, 0, 0, 10), (0, 10, 0, 0), (11, 10, 0, 10), (-1, 10, 0, 10), (0, 10, 11, 10)])
def test_impossible_counts_are_refused(counts):
    right, runs_with, false, runs_without = counts
    with pytest.raises(ValueError, match="runs with"):
        Alarms(right=right, runs_with=runs_with, false=false, runs_without=runs_without)


@pytest.mark.parametrize("changed", [{"delta": -1e-9}, {"delta": 1.0}, {"delta": math.nan}, {"confidence": 1.0},
                                     {"confidence": 0.0}])  # fmt: skip
def test_impossible_arguments_are_refused(changed):
    alarms = Alarms(right=5, runs_with=10, false=1, runs_without=10)
    with pytest.raises(ValueError, match=r"give a number in"):
        epsilon_bound(alarms, **{"delta": 1e-5, **changed})
