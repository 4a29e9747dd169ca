"""Neighbours never differ by more than the clip, and sites' sums add up to the pooled one."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from anomalib_federated.privacy.noise import STEPS
from anomalib_federated.privacy.sums import NoiseAdders, check_sum, clipped_sum
from anomalib_federated.testing.privacy import seeded_noise

DIMENSIONS = 7
vector = arrays.arrays(np.float64, DIMENSIONS, elements=st.floats(-1e6, 1e6))
unit = st.lists(vector, min_size=1, max_size=4)


def grid_of(adders=None, **changed):
    adders = adders or NoiseAdders()
    return adders.grid(**{"clip": 2.0, "multiplier": 3.0, "dimensions": DIMENSIONS, **changed})


@settings(max_examples=150)
@given(units=st.lists(unit, max_size=6), other=unit, position=st.integers(0, 6))
def test_one_unit_more_changes_no_more_than_the_clip(units, other, position):
    grid = grid_of()
    more = [*units[:position], other, *units[position:]]
    change = clipped_sum(more, grid) - clipped_sum(units, grid)
    assert sum(int(value) ** 2 for value in change) <= grid.clip_steps**2
    assert np.linalg.norm(grid.decode(change)) <= 2.0


@given(units=st.lists(unit, min_size=2, max_size=6), seed=st.integers(0, 99))
def test_order_and_sites_make_no_difference(units, seed):
    grid = grid_of()
    shuffled = [units[i] for i in np.random.default_rng(seed).permutation(len(units))]
    pooled = clipped_sum(units, grid)
    assert np.array_equal(pooled, clipped_sum(shuffled, grid))
    assert np.array_equal(pooled, clipped_sum(units[:1], grid) + clipped_sum(units[1:], grid))


def test_the_sum_is_that_of_clipped_vectors():
    generator = np.random.default_rng(0)
    vectors = generator.standard_normal((50, DIMENSIONS)) * 2
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    expected = (vectors * np.minimum(1, 2.0 / lengths)).sum(0)
    assert np.allclose(grid_of().decode(clipped_sum([[v] for v in vectors], grid_of())), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("adders", "sites", "expected"),
    [
        (NoiseAdders(noise_by="centre"), 3, 1.0),
        (NoiseAdders(noise_by="each_site"), 3, math.sqrt(3)),
        (NoiseAdders(noise_by="honest_sites", honest_sites=3), 3, 1.0),
        (NoiseAdders(noise_by="honest_sites", honest_sites=3), 5, math.sqrt(5 / 3)),
    ],
)
def test_all_noise_together_is_what_was_asked_for(adders, sites, expected):
    grid = grid_of(adders, dimensions=20_000)
    sums = [adders.at_site(np.zeros(20_000, dtype=np.int64), noise=seeded_noise(site)) for site in range(sites)]
    total = grid.decode(adders.at_centre(np.sum(sums, axis=0), noise=seeded_noise(99)))
    assert total.std() == pytest.approx(expected * 3.0 * 2.0, rel=0.02)


def test_who_adds_noise_sends_none_of_it_exactly():
    exact = np.zeros(4, dtype=np.int64)
    assert not NoiseAdders(noise_by="centre").at_site(exact, noise=seeded_noise(0)).any()
    assert NoiseAdders(noise_by="each_site").at_site(exact, noise=seeded_noise(0)).all()
    assert not NoiseAdders(noise_by="each_site").at_centre(exact, noise=seeded_noise(0)).any()
    assert not exact.any()


@pytest.mark.parametrize("arguments", [
    {"noise_by": "nobody"}, {"noise_by": "me"}, {"honest_sites": 0}, {"noise_by": "centre", "honest_sites": 2},
])  # fmt: skip
def test_impossible_adders_are_refused(arguments):
    with pytest.raises(ValueError, match="give"):
        NoiseAdders(**arguments)


def test_a_unit_without_picture_is_refused():
    with pytest.raises(ValueError, match="Unit 1 has no picture"):
        clipped_sum([[np.zeros(DIMENSIONS)], []], grid_of())


@pytest.mark.parametrize(
    "total",
    [
        None, [0] * DIMENSIONS, np.zeros(DIMENSIONS), np.zeros(DIMENSIONS + 1, dtype=np.int64),
        np.zeros((DIMENSIONS, 1), dtype=np.int64), np.full(DIMENSIONS, np.iinfo(np.int64).min),
        np.full(DIMENSIONS, 1 << 62),
    ],
)  # fmt: skip
def test_other_sums_are_refused(total):
    with pytest.raises(ValueError, match="from site 'a'"):
        check_sum(total, dimensions=DIMENSIONS, source="site 'a'")


def test_a_sum_is_taken():
    total = np.arange(DIMENSIONS) * STEPS
    assert np.array_equal(check_sum(total, dimensions=DIMENSIONS, source="a"), total)
