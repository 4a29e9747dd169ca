"""Rules are found on one half of the runs and judged on the other, so that bounds stay bounds."""

from functools import partial

import numpy as np
import pytest

from anomalib_federated.audit.bounds import epsilon_bound, mu_bound
from anomalib_federated.audit.distinguisher import best_alarms
from anomalib_federated.privacy.gaussian import epsilon_of

choosing = partial(mu_bound, confidence=0.999)


def gaussians(mu, *, runs, seed, others=5):
    """Two scores that share the signal, and some that are noise alone."""
    generator = np.random.default_rng(seed)
    absent, present = generator.normal(size=(2, runs, 2 + others))
    present[:, :2] += mu / 2**0.5
    return present, absent


@pytest.mark.parametrize("mu", [0.0, 0.5, 2.0])
def test_bounds_are_too_large_as_seldom_as_they_say(mu):
    """In 100 simulations, 14 would come with probability below 1/1000 if it were 1 in 20."""
    wrong = sum(mu_bound(best_alarms(*gaussians(mu, runs=200, seed=seed), bound=choosing)) > mu for seed in range(100))
    assert wrong < 14


def test_many_runs_come_near_the_truth():
    present, absent = gaussians(0.5, runs=20_000, seed=0)
    found = mu_bound(best_alarms(present, absent, bound=choosing))
    assert 0.8 * 0.5 < found <= 0.5
    assert 0.7 * epsilon_of(0.5, 1e-5) < epsilon_of(found, 1e-5) <= epsilon_of(0.5, 1e-5)


def test_scores_are_combined():
    """Noise that two scores have in common is taken off, though each alone shows little."""
    generator = np.random.default_rng(0)
    common = generator.normal(size=(2, 1000, 1)) * 10
    present, absent = np.concatenate([common, common], axis=2) + generator.normal(size=(2, 1000, 2)) / 100
    present[:, 0] += 1
    assert mu_bound(best_alarms(present, absent, bound=choosing)) > 3.5


def test_lower_scores_tell_as_well_as_higher_ones():
    present, absent = gaussians(2.0, runs=400, seed=1)
    assert mu_bound(best_alarms(absent, present, bound=choosing)) > 1.2


@pytest.mark.parametrize("bound", [choosing, partial(epsilon_bound, delta=1e-5)])
def test_what_never_changes_is_told_apart(bound):
    alarms = best_alarms(np.ones((100, 1)), np.zeros((100, 1)), bound=bound)
    assert (alarms.right, alarms.false) == (50, 0)
    same = best_alarms(np.ones((100, 2)), np.ones((100, 2)), bound=bound)
    assert bound(same) <= 0


@pytest.mark.parametrize(
    ("present", "absent", "problem"),
    [
        (np.zeros((7, 1)), np.zeros((8, 1)), "at least 8 runs"),
        (np.zeros((8, 1)), np.zeros((8, 2)), "at least 8 runs"),
        (np.zeros(8), np.zeros(8), "at least 8 runs"),
        (np.full((8, 1), np.nan), np.zeros((8, 1)), "not finite"),
    ],
)
def test_bad_scores_are_refused(present, absent, problem):
    with pytest.raises(ValueError, match=problem):
        best_alarms(present, absent, bound=choosing)
