"""The one-run bound against the paper's own loop, exact chances, and mechanisms whose epsilon is known."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from scipy.stats import binom

from anomalib_federated.audit.one_run import chance_of_guesses, one_run_bound


def theorem(canaries, guesses, right, epsilon, delta):
    """Theorem 5.2 term by term: P[W >= v] <= beta + 2 m delta max_i P[v > B >= v - i] / i."""
    one = math.exp(epsilon) / (1 + math.exp(epsilon))
    chance = [math.comb(guesses, k) * one**k * (1 - one) ** (guesses - k) for k in range(guesses + 1)]
    beta = sum(chance[right:])
    alpha = max((sum(chance[right - i : right]) / i for i in range(1, right + 1)), default=0.0)
    return min(1.0, beta + 2 * canaries * delta * alpha)


@given(
    canaries=st.integers(30, 60), guesses=st.integers(1, 30), share=st.floats(0, 1),
    epsilon=st.floats(0, 5), delta=st.sampled_from([0.0, 1e-5, 1e-2]),
)  # fmt: skip
def test_it_is_the_theorem(canaries, guesses, share, epsilon, delta):
    right = round(share * guesses)
    found = chance_of_guesses(canaries=canaries, guesses=guesses, right=right, epsilon=epsilon, delta=delta)
    assert found == pytest.approx(theorem(canaries, guesses, right, epsilon, delta), rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("epsilon", [0.2, 1.0, 4.0])
def test_the_bound_is_one_for_randomised_response(epsilon):
    """Each canary's coin is told truly with probability expit(epsilon)."""
    count = 100
    chances = binom.pmf(np.arange(count + 1), count, expit(epsilon))
    bounds = [one_run_bound(canaries=count, guesses=count, right=right, delta=0.0) for right in range(count + 1)]
    assert sum(chance for chance, bound in zip(chances, bounds, strict=True) if bound > epsilon) <= 0.05


def test_the_bound_is_one_if_all_is_published_by_chance():
    """With probability delta all coins are told, else none: epsilon is 0. Without delta the bound would be large."""
    count, delta = 100, 0.06
    lucky = one_run_bound(canaries=count, guesses=count, right=count, delta=delta)
    assert lucky == 0
    assert one_run_bound(canaries=count, guesses=count, right=count, delta=0.0) > 3


def test_many_canaries_come_near_the_truth():
    count, epsilon = 20_000, 1.0
    right = round(count * float(expit(epsilon)))
    assert 0.9 < one_run_bound(canaries=count, guesses=count, right=right, delta=1e-5) < epsilon


@given(right=st.integers(0, 49), delta=st.sampled_from([0.0, 1e-5, 1e-3]))
def test_more_wrong_guesses_never_raise_the_bound(right, delta):
    fewer, more = (one_run_bound(canaries=200, guesses=50, right=each, delta=delta) for each in (right, right + 1))
    assert fewer <= more + 1e-6


def test_the_bound_is_where_the_chance_is_that_of_being_wrong():
    bound = one_run_bound(canaries=200, guesses=50, right=45, delta=1e-5, confidence=0.9)
    assert chance_of_guesses(canaries=200, guesses=50, right=45, epsilon=bound, delta=1e-5) == pytest.approx(0.1)


@pytest.mark.parametrize(
    "changed",
    [{"guesses": 0, "right": 0}, {"right": 11}, {"right": -1}, {"guesses": 21}, {"delta": 1.0}, {"delta": -0.1},
     {"confidence": 1.0}],
)  # fmt: skip
def test_impossible_arguments_are_refused(changed):
    with pytest.raises(ValueError, match="give"):
        one_run_bound(**{"canaries": 20, "guesses": 10, "right": 5, "delta": 1e-5, **changed})
