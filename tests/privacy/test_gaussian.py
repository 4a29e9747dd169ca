"""Accounting against the integral that defines it, against closed forms, and against dp-accounting's other methods."""

import math

import dp_accounting
import pytest
from dp_accounting import pld, rdp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from anomalib_federated.privacy.gaussian import SLACK, composed, epsilon_of, mu_of, noise_multipliers, of_group

EPSILONS = [0.1, 0.5, 1.0, 2.0, 4.0, 8.0]


def delta_by_integral(mu, epsilon):
    """What is left of N(mu, 1) above e^epsilon times N(0, 1)."""
    crossing = epsilon / mu + mu / 2
    above = quad(lambda x: norm.pdf(x, mu) - math.exp(epsilon) * norm.pdf(x), crossing, crossing + 40, epsabs=1e-16)
    return above[0]


@pytest.mark.parametrize("epsilon", EPSILONS)
@pytest.mark.parametrize("delta", [1e-3, 1e-5, 1e-8])
def test_the_integral_gives_the_same_delta(epsilon, delta):
    assert delta_by_integral(mu_of(epsilon, delta), epsilon) == pytest.approx(delta, rel=1e-3)  # the slack is in it
    assert delta_by_integral(mu_of(epsilon, delta), epsilon) < delta  # never more


@pytest.mark.parametrize(("epsilon", "sigma"), [(1, 3.73063), (2, 1.99381), (4, 1.08116), (8, 0.60023)])
def test_figures_of_the_literature(epsilon, sigma):
    assert 1 / mu_of(epsilon, 1e-5) == pytest.approx(sigma, abs=2e-5)


@given(st.floats(0.01, 50), st.floats(1e-12, 1e-2))
def test_epsilon_and_mu_belong_together(epsilon, delta):
    assert epsilon_of(mu_of(epsilon, delta), delta) == pytest.approx(epsilon, rel=1e-6, abs=1e-8)


def test_composition_as_by_privacy_loss_distributions():
    multipliers = noise_multipliers(mu_of(4.0, 1e-5), [0.12, 0.15, 0.33, 0.4])
    accountant = pld.PLDAccountant(value_discretization_interval=1e-3)
    for multiplier in multipliers:
        accountant.compose(dp_accounting.GaussianDpEvent(multiplier))
    assert accountant.get_epsilon(1e-5) == pytest.approx(4.0, rel=2e-3)
    assert epsilon_of(composed(1 / z for z in multipliers), 1e-5) == pytest.approx(4.0, rel=1e-9)


@pytest.mark.parametrize("epsilon", EPSILONS)
def test_renyi_accounting_promises_less(epsilon):
    accountant = rdp.RdpAccountant()
    for multiplier in noise_multipliers(mu_of(epsilon, 1e-5), [0.5, 0.5]):
        accountant.compose(dp_accounting.GaussianDpEvent(multiplier))
    assert epsilon < accountant.get_epsilon(1e-5) < 1.15 * epsilon


def test_a_part_in_six_pictures():
    assert epsilon_of(of_group(mu_of(2.0, 1e-5), 6), 1e-5) == pytest.approx(16.7, abs=0.05)


def test_no_loss_and_no_noise():
    assert epsilon_of(0.0, 1e-5) == 0
    assert epsilon_of(math.inf, 1e-5) == math.inf
    assert composed([]) == 0


@settings(max_examples=50)
@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=8), st.floats(0.05, 5))
def test_rounds_spend_what_all_may(weights, mu):
    shares = [weight / math.fsum(weights) for weight in weights]
    assert composed(1 / z for z in noise_multipliers(mu, shares)) == pytest.approx(mu, rel=1e-12)


@pytest.mark.parametrize("shares", [[], [0.5], [0.5, 0.6], [1.0, 0.0], [1.5, -0.5]])
def test_other_shares_are_refused(shares):
    with pytest.raises(ValueError, match="shares that add up to 1"):
        noise_multipliers(1.0, shares)


@pytest.mark.parametrize("epsilon", [0, -1, math.inf, math.nan, SLACK, 1001])
def test_impossible_epsilons_are_refused(epsilon):
    with pytest.raises(ValueError, match="epsilon is"):
        mu_of(epsilon, 1e-5)


@pytest.mark.parametrize("delta", [0, 1, -1e-5, math.nan])
def test_impossible_deltas_are_refused(delta):
    with pytest.raises(ValueError, match="delta is"):
        mu_of(1.0, delta)
    with pytest.raises(ValueError, match="delta is"):
        epsilon_of(1.0, delta)


@pytest.mark.parametrize("mu", [-1, math.nan])
def test_impossible_losses_are_refused(mu):
    with pytest.raises(ValueError, match="impossible"):
        epsilon_of(mu, 1e-5)


@pytest.mark.parametrize("dimensions", [1, 100, 1 << 30])
def test_the_slack_is_enough_for_discrete_noise(dimensions):
    """The two bounds of the module's text, at the chance of squares that they leave out."""
    steps, delta, epsilon = 2.0**24, 1e-5, 8.0
    chance = 1e-7 * delta * math.exp(-epsilon)
    length = math.sqrt(dimensions) * (1 + 0.5 / steps) + math.sqrt(2 * math.log(1 / chance))
    above = dimensions / (8 * steps**2)
    below = length**2 / (24 * steps**2)
    assert above + below <= SLACK
    assert math.exp(above) * (delta * (1 - 2 * SLACK) + math.exp(epsilon) * chance) <= delta


@pytest.mark.parametrize("sigma", [3, 10])
def test_the_bounds_on_discrete_noise_hold(sigma):
    total = math.fsum(math.exp(-(k**2) / (2 * sigma**2)) for k in range(-60 * sigma, 60 * sigma + 1))
    lost = 3 * math.exp(-2 * math.pi**2 * sigma**2) + 1e-9
    for k in range(6 * sigma):
        discrete = math.exp(-(k**2) / (2 * sigma**2)) / total
        rounded = norm.sf(k - 0.5, scale=sigma) - norm.sf(k + 0.5, scale=sigma)
        assert math.log(discrete / rounded) <= 1 / (8 * sigma**2) + lost
        assert math.log(rounded / discrete) <= k**2 / (24 * sigma**4) + lost
