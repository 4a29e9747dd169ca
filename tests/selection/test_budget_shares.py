"""Shares of a budget, against the water level that scipy finds and against all whole shares there are."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from anomalib_federated.selection.budget_shares import proportional_shares

SITES = st.lists(st.tuples(st.integers(1, 1000), st.integers(1, 60)), min_size=1, max_size=7)


def water_level(budget, sizes, limits, least=1):
    """Exact shares: each in proportion to its size, but between the least and its limit."""

    def shares(level):
        return [min(max(level * size, float(least)), limit) for size, limit in zip(sizes, limits, strict=True)]

    if budget >= sum(limits):
        return [float(limit) for limit in limits]
    if budget == sum(shares(0)):
        return shares(0)
    level = brentq(lambda level: sum(shares(level)) - budget, 0, max(limits), xtol=1e-15, rtol=1e-14)
    return shares(level)


@settings(max_examples=300)
@given(sites=SITES, least=st.integers(0, 20), more=st.integers(0, 300))
def test_shares_are_as_proportional_as_the_limits_allow(sites, least, more):
    sizes, limits = zip(*sites, strict=True)
    budget = max(1, sum(min(least, limit) for limit in limits) + more)
    shares = proportional_shares(budget, sizes, limits=limits, least=least)
    assert sum(shares) == min(budget, sum(limits))
    for share, limit, exact in zip(shares, limits, water_level(budget, sizes, limits, least), strict=True):
        assert isinstance(share, int)
        assert min(least, limit) <= share <= limit
        assert abs(share - exact) < 1 + 1e-6


@settings(max_examples=60)
@given(
    sites=st.lists(st.tuples(st.integers(1, 30), st.integers(1, 6)), min_size=1, max_size=4),
    least=st.integers(0, 3),
    more=st.integers(0, 12),
)
def test_no_whole_shares_are_nearer_to_the_exact_ones(sites, least, more):
    sizes, limits = zip(*sites, strict=True)
    lowest = [min(least, limit) for limit in limits]
    budget = min(max(1, sum(lowest) + more), sum(limits))
    exact = water_level(budget, sizes, limits, least)

    def error(shares):
        return sum((share - each) ** 2 for share, each in zip(shares, exact, strict=True))

    ranges = (range(low, limit + 1) for low, limit in zip(lowest, limits, strict=True))
    all_shares = (each for each in product(*ranges) if sum(each) == budget)
    assert error(proportional_shares(budget, sizes, limits=limits, least=least)) <= min(map(error, all_shares)) + 1e-6


def test_by_hand():
    free = [10**6] * 3
    assert proportional_shares(10, [41, 35, 24], limits=free) == [4, 4, 2]  # 4.1, 3.5, 2.4
    assert proportional_shares(10, [1, 1, 1], limits=free) == [4, 3, 3]  # of equals, the first
    assert proportional_shares(10, [1000, 1, 1], limits=free) == [8, 1, 1]
    assert proportional_shares(10, [60, 30, 10], limits=[3, 100, 100]) == [3, 5, 2]  # 7 rows are left: 5.25, 1.75
    assert proportional_shares(10, [1000, 1, 1], limits=[5, 9, 9]) == [5, 3, 2]
    assert proportional_shares(10**6, [3, 2, 1], limits=[7, 8, 9]) == [7, 8, 9]
    assert proportional_shares(3, [3, 2, 1], limits=free) == [1, 1, 1]
    assert proportional_shares(10, [1000, 1, 1], limits=free, least=0) == [10, 0, 0]
    assert proportional_shares(10, [1000, 1, 1], limits=[10, 10, 2], least=3) == [5, 3, 2]
    assert proportional_shares(2, [1, 1, 1], limits=free, least=0) == [1, 1, 0]


def test_sizes_beyond_floating_point_are_no_trouble():
    assert proportional_shares(3, [2**60, 2**60 + 1, 1], limits=[5, 5, 5]) == [1, 1, 1]
    assert proportional_shares(6, [2**60, 2**60 + 1, 1], limits=[5, 5, 5]) == [2, 3, 1]


def test_too_small_a_budget_is_refused():
    with pytest.raises(ValueError, match="A budget of 2 rows cannot give each of 3 sites a row; allow at least 3"):
        proportional_shares(2, [1, 1, 1], limits=[5, 5, 5])
    with pytest.raises(ValueError, match="A budget of 9 rows cannot give each of 3 groups 4 rows; allow at least 10"):
        proportional_shares(9, [1, 1, 1], limits=[5, 5, 2], least=4, of="groups")
