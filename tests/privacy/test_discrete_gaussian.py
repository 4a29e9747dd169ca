"""Draws against the probabilities by which the distribution is defined."""

import numpy as np
import pytest
from dp_accounting.pld.privacy_loss_mechanism import DiscreteGaussianPrivacyLoss
from scipy.stats import chisquare, kstest, norm

from anomalib_federated.privacy.discrete_gaussian import LARGEST_SIGMA, discrete_gaussian
from anomalib_federated.privacy.noise import STEPS, Noise
from anomalib_federated.testing.privacy import seeded_noise


def seeded(seed):
    return np.random.default_rng(seed).bytes


@pytest.mark.parametrize("sigma", [1, 2, 3, 7, 64])
def test_each_number_is_as_likely_as_it_must_be(sigma):
    draws = discrete_gaussian(sigma, 200_000, random_bytes=seeded(sigma))
    edge = int(3.5 * sigma)
    numbers = np.arange(-12 * sigma, 12 * sigma + 1)
    likely = np.exp(-(numbers.astype(float) ** 2) / (2 * sigma**2))
    likely /= likely.sum()
    inner = np.abs(numbers) <= edge
    expected = np.append(likely[inner], likely[~inner].sum()) * len(draws)
    found = np.append([(draws == number).sum() for number in numbers[inner]], (np.abs(draws) > edge).sum())
    assert chisquare(found, expected).pvalue > 1e-4


def test_distribution_as_dp_accounting_has_it():
    draws = discrete_gaussian(5, 100_000, random_bytes=seeded(0))
    theirs = DiscreteGaussianPrivacyLoss(5.0)
    for number in range(-12, 13, 3):
        assert np.mean(draws <= number) == pytest.approx(theirs.noise_cdf(number), abs=0.006)


def test_the_noise_of_releases_is_as_good_as_continuous():
    draws = seeded_noise(1).draw(100_000)
    assert kstest(draws / STEPS, norm.cdf).pvalue > 1e-4
    assert abs(np.mean(draws > 0) - 0.5) < 0.01
    assert kstest(np.mod(draws, 4096) / 4096, "uniform").pvalue > 1e-4  # the lowest bits are noise, too


def test_draws_are_independent_of_each_other():
    draws = seeded_noise(2).draw(100_000) / STEPS
    for lag in (1, 2, 1000):
        assert abs(np.corrcoef(draws[:-lag], draws[lag:])[0, 1]) < 0.02


def test_no_two_are_drawn_alike():
    first, second = Noise().draw(1000), Noise().draw(1000)
    assert not np.array_equal(first, second)
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.25


def test_only_the_source_decides():
    assert np.array_equal(seeded_noise(3).draw(500), seeded_noise(3).draw(500))


@pytest.mark.parametrize("count", [0, 1, 2, 300_000])
def test_as_many_as_asked_for(count):
    draws = discrete_gaussian(4, count, random_bytes=seeded(0))
    assert draws.shape == (count,)
    assert draws.dtype == np.int64


def test_sigma_is_the_standard_deviation():
    for sigma in (1, 100, LARGEST_SIGMA):
        draws = discrete_gaussian(sigma, 50_000, random_bytes=seeded(9))
        assert draws.std() == pytest.approx(sigma, rel=0.02)
        assert abs(draws.mean()) < 0.02 * sigma + 0.01


@pytest.mark.parametrize(("sigma", "count"), [(0, 1), (-1, 1), (LARGEST_SIGMA + 1, 1), (1, -1)])
def test_impossible_arguments_are_refused(sigma, count):
    with pytest.raises(ValueError, match="Cannot draw"):
        discrete_gaussian(sigma, count)
