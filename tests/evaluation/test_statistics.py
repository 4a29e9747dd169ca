"""Paired statistics, against scipy, enumeration, integration, simulation, published values and worked examples."""

from __future__ import annotations

from itertools import product
from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from anomalib_federated.evaluation.comparison.statistics import (
    NO_SPREAD,
    TOO_FEW,
    cohens_d,
    detectable_difference,
    holm,
    mean_difference,
    minimum_detectable_effect,
    paired_t_power,
    paired_t_test,
    smallest_wilcoxon_p,
    wilcoxon_test,
)

# Shares with two decimals, whose sums and differences are told apart from rounding errors.
shares = st.integers(0, 100).map(lambda percent: percent / 100)
pairs = st.lists(st.tuples(shares, shares), min_size=2, max_size=8)
p_values = st.lists(st.floats(0, 1), min_size=1, max_size=6)


@given(pairs)
def test_t_test_and_interval_are_those_of_scipy(pairs: list[tuple[float, float]]) -> None:
    values, baseline = map(np.array, zip(*pairs, strict=True))
    found, mean = paired_t_test(values, baseline), mean_difference(values, baseline)
    assert mean.value == pytest.approx(np.mean(values - baseline), abs=1e-12)
    if len({round(first - second, 9) for first, second in pairs}) == 1:
        assert (found.p, found.note) == (None, NO_SPREAD)
        assert (mean.low, mean.high, mean.note) == (None, None, NO_SPREAD)
        return
    expected = stats.ttest_rel(values, baseline)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-9)
    assert (mean.low, mean.high) == pytest.approx(expected.confidence_interval(0.95), rel=1e-9, abs=1e-12)


@given(pairs)
def test_wilcoxon_is_the_share_of_sign_patterns_as_extreme(pairs: list[tuple[float, float]]) -> None:
    differences = [round(first - second, 9) for first, second in pairs]
    found = wilcoxon_test(*zip(*pairs, strict=True))
    nonzero = [difference for difference in differences if difference]
    if not nonzero:
        assert (found.p, found.note) == (None, "all differences are zero")
        return
    ranks = stats.rankdata(np.abs(nonzero))
    sums = np.array([np.dot(ranks, signs) for signs in product((0, 1), repeat=len(ranks))])
    seen = ranks[np.array(nonzero) > 0].sum()
    one_sided = min(np.mean(sums <= seen), np.mean(sums >= seen))
    assert found.p == pytest.approx(min(1.0, 2 * one_sided))
    assert ("left out" in found.note) == (len(nonzero) < len(differences))
    assert found.p >= smallest_wilcoxon_p(len(nonzero)) - 1e-12


def test_wilcoxon_says_when_it_approximates() -> None:
    ties = [0.1, -0.1, *(0.01 * k for k in range(1, 13))]
    assert wilcoxon_test(ties, [0.0] * 14).note == "normal approximation"
    assert wilcoxon_test(ties[:8], [0.0] * 8).note == ""
    assert wilcoxon_test([0.01 * k for k in range(1, 21)], [0.0] * 20).note == ""
    assert wilcoxon_test([0.1, 0.2, 0.3], [0.0, 0.0, 0.3]).note == "1 of 3 pairs without difference left out"


@settings(max_examples=30)
@given(pairs, shares)
def test_a_constant_added_to_all_values_changes_nothing(pairs: list[tuple[float, float]], constant: float) -> None:
    values, baseline = map(np.array, zip(*pairs, strict=True))
    for function in (paired_t_test, wilcoxon_test, cohens_d, mean_difference, detectable_difference):
        assert function(values + constant, baseline + constant) == function(values, baseline)


@pytest.mark.parametrize("values", [[], [0.5]])
def test_fewer_than_two_pairs_give_no_test_but_the_reason(values: list[float]) -> None:
    zeros = [0.0] * len(values)
    for function in (paired_t_test, wilcoxon_test):
        assert (function(values, zeros).p, function(values, zeros).note) == (None, TOO_FEW)
    for function in (cohens_d, detectable_difference):
        assert (function(values, zeros).value, function(values, zeros).note) == (None, TOO_FEW)
    mean = mean_difference(values, zeros)
    assert mean.value == (values[0] if values else None)
    assert mean.low is None
    assert mean.note


def test_equal_differences_are_not_taken_for_certainty() -> None:
    # 0.3 - 0.2 and 0.2 - 0.1 differ by 3e-17, which scipy would call p = 0.
    values, baseline = [0.3, 0.2, 0.7], [0.2, 0.1, 0.6]
    assert paired_t_test(values, baseline).note == NO_SPREAD
    assert cohens_d(values, baseline).value is None
    assert detectable_difference(values, baseline).value is None
    assert mean_difference(values, baseline).value == pytest.approx(0.1)
    assert wilcoxon_test(values, baseline).p == 0.25  # needs no spread: 2 of 2**3 patterns of signs


def test_cohens_d_uses_the_sample_standard_deviation() -> None:
    # Differences 0.1, 0.2, 0.3, 0.6: mean 0.3; squares 0.04 + 0.01 + 0 + 0.09 = 0.14; sd = sqrt(0.14 / 3) = 0.216
    found = cohens_d([0.6, 0.7, 0.8, 0.9], [0.5, 0.5, 0.5, 0.3])
    assert found.value == pytest.approx(0.3 / sqrt(0.14 / 3))


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("differences", [[0.1, 0.2, 0.3, 0.6], [-0.2, 0.1], [0.01, 0.02, -0.02, 0.0, 0.3, 0.1]])
def test_ends_of_the_interval_of_d_make_the_data_just_too_rare(differences: list[float], sign: int) -> None:
    n, found = len(differences), cohens_d(sign * np.array(differences), np.zeros(len(differences)))
    t = found.value * sqrt(n)
    assert _noncentral_t(t, n - 1, found.low * sqrt(n)) == pytest.approx(0.975, abs=1e-6)
    assert _noncentral_t(t, n - 1, found.high * sqrt(n)) == pytest.approx(0.025, abs=1e-6)


def _noncentral_t(t: float, df: int, shift: float) -> float:
    """P((Z + shift) / sqrt(chi2 / df) <= t), by integration over the root of chi2 / df."""
    scale = stats.chi(df, scale=1 / sqrt(df))
    return integrate.quad(lambda s: stats.norm.cdf(t * s - shift) * scale.pdf(s), 0, scale.ppf(1 - 1e-12), limit=200)[0]


def test_interval_of_d_covers_the_true_effect() -> None:
    random, true, covered, runs = np.random.default_rng(5), 0.8, 0, 400
    for _ in range(runs):
        found = cohens_d(random.normal(true, 1.0, size=5), np.zeros(5))
        covered += found.low <= true <= found.high
    assert covered / runs == pytest.approx(0.95, abs=3 * sqrt(0.95 * 0.05 / runs))


@pytest.mark.parametrize("n", [2, 3, 12, 60])
def test_interval_of_d_is_there_for_any_spread(n: int) -> None:
    # From a spread that hides the mean to one that is hardly any; where the limit sets in, nothing jumps.
    noise = np.random.default_rng(n).normal(size=n)
    widths = [cohens_d(0.5 + noise * spread, np.zeros(n)) for spread in np.geomspace(1e1, 1e-9, 60)]
    ratios = [found.high / found.value for found in widths[20:]]
    assert all(found.low < found.value < found.high for found in widths)
    assert max(abs(np.diff(ratios))) < 0.5


def test_holm_as_worked_by_hand() -> None:
    # 0.005 * 4 = 0.02; 0.01 * 3 = 0.03; 0.03 * 2 = 0.06; 0.04 * 1 = 0.04, but no less than the one before: 0.06
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, None, 0.9]) == [1.0, None, 1.0]
    assert holm([]) == []


@given(p_values)
def test_holm_rejects_as_its_steps_do(p_values: list[float]) -> None:
    # The procedure as Holm gave it: from the least p on, reject while p <= alpha / (tests left).
    alpha, rejected = 0.05, set()
    for rank, at in enumerate(np.argsort(p_values, kind="stable")):
        if p_values[at] * (len(p_values) - rank) > alpha:
            break
        rejected.add(int(at))
    assert {at for at, p in enumerate(holm(p_values)) if p <= alpha} == rejected


@pytest.mark.parametrize(("effect", "n"), [(0.2, 199), (0.5, 34), (0.8, 15)])
def test_power_agrees_with_published_sample_sizes(effect: float, n: int) -> None:
    # Small, medium and large effect, two-sided paired t-test, alpha 0.05, power 0.8, as G*Power tells.
    assert paired_t_power(n - 1, effect) < 0.8 <= paired_t_power(n, effect)
    assert minimum_detectable_effect(n) <= effect < minimum_detectable_effect(n - 1)


def test_a_just_detectable_effect_is_noticed_four_times_in_five() -> None:
    n, runs = 4, 4000
    samples = np.random.default_rng(1).normal(minimum_detectable_effect(n), 1.0, size=(runs, n))
    noticed = np.mean(stats.ttest_1samp(samples, 0.0, axis=1).pvalue <= 0.05)
    assert noticed == pytest.approx(0.8, abs=3 * sqrt(0.8 * 0.2 / runs))


def test_detectable_difference_is_in_units_of_the_figure() -> None:
    # Differences 0.1, 0.2, 0.3 have a standard deviation of 0.1.
    found = detectable_difference([0.7, 0.8, 0.9], [0.6, 0.6, 0.6])
    assert found.value == pytest.approx(0.1 * minimum_detectable_effect(3))
    assert paired_t_power(7, 0.0) == pytest.approx(0.05)
    assert minimum_detectable_effect(1) is None


@pytest.mark.parametrize("function", [paired_t_test, wilcoxon_test, cohens_d, mean_difference, detectable_difference])
def test_what_is_no_pairs_is_refused(function) -> None:
    with pytest.raises(ValueError, match=r"these have \(2,\) and \(1,\)"):
        function([0.1, 0.2], [0.1])
    with pytest.raises(ValueError, match=r"Pair 1 is nan and 0\.2"):
        function([0.1, float("nan")], [0.1, 0.2])
