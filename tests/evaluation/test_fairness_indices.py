"""Indices over groups: closed forms, formulas by hand, and what must not change them."""

from __future__ import annotations

import math
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalib_federated.evaluation.fairness.figures import FIGURES, higher_is_better
from anomalib_federated.evaluation.fairness.indices import (
    coefficient_of_variation,
    defined,
    demographic_parity_difference,
    equal_opportunity_difference,
    gap,
    jain,
    predictive_equality_difference,
    ratio,
    standard_deviation,
    variance,
    worst,
)
from anomalib_federated.evaluation.fairness.summary import indices_of
from anomalib_federated.evaluation.fairness.words import sentence

SHARES = st.lists(st.floats(0, 1), min_size=1, max_size=12)
INDICES = (gap, jain, variance, standard_deviation, coefficient_of_variation, ratio)


@given(SHARES)
def test_jain_lies_between_one_over_m_and_one(values: list[float]) -> None:
    found = jain(values)
    if not any(values):
        assert found is None
    else:
        assert 1 / len(values) - 1e-12 <= found <= 1 + 1e-12


@pytest.mark.parametrize("groups", [1, 2, 7])
def test_jain_reaches_both_ends(groups: int) -> None:
    assert jain([0.3] * groups) == pytest.approx(1)
    assert jain([0.3] + [0.0] * (groups - 1)) == pytest.approx(1 / groups)


def test_jain_of_tiny_values_is_no_accident_of_rounding() -> None:
    assert jain([1e-300, 1e-300]) == 1
    with pytest.raises(ValueError, match="not negative"):
        jain([0.5, -0.1])


@given(st.lists(st.floats(0.1, 1), min_size=2, max_size=6), st.randoms())
def test_the_order_of_groups_changes_no_index(values: list[float], random: object) -> None:
    shuffled = list(values)
    random.shuffle(shuffled)
    for index in INDICES:
        assert index(shuffled) == pytest.approx(index(values), abs=1e-12)


@given(st.lists(st.floats(0.1, 1), min_size=2, max_size=6), st.floats(0.5, 2))
def test_the_unit_changes_no_relative_index(values: list[float], unit: float) -> None:
    scaled = [unit * value for value in values]
    for index in (jain, coefficient_of_variation, ratio):
        assert index(scaled) == pytest.approx(index(values), abs=1e-9)
    assert gap(scaled) == pytest.approx(unit * gap(values))
    assert variance(scaled) == pytest.approx(unit**2 * variance(values), abs=1e-12)


@given(st.lists(st.floats(0.1, 1), min_size=2, max_size=6), st.integers(2, 3))
def test_as_many_groups_again_change_no_index(values: list[float], times: int) -> None:
    for index in INDICES:
        assert index(values * times) == pytest.approx(index(values), abs=1e-9)


@given(st.lists(st.floats(0.1, 1), min_size=2, max_size=9))
def test_indices_are_those_of_numpy(values: list[float]) -> None:
    array = np.array(values)
    assert gap(values) == pytest.approx(np.ptp(array))
    assert variance(values) == pytest.approx(array.var(), abs=1e-15)
    assert standard_deviation(values) == pytest.approx(array.std(), abs=1e-9)
    assert coefficient_of_variation(values) == pytest.approx(array.std() / array.mean(), abs=1e-9)
    assert ratio(values) == pytest.approx(array.max() / array.min())
    # Jain's index is 1 / (1 + CV^2).
    assert jain(values) == pytest.approx(1 / (1 + coefficient_of_variation(values) ** 2), abs=1e-9)


def test_differences_of_rates_are_those_of_fairlearn() -> None:
    """Computed as Fairlearn documents them: a rate per group, the largest less the smallest."""
    called = np.array([1, 0, 1, 1, 0, 1, 0, 0, 1], dtype=bool)
    defective = np.array([1, 1, 1, 0, 0, 1, 1, 0, 0], dtype=bool)
    group = np.array(list("aaaaabbbb"))
    by = {name: group == name for name in "ab"}
    assert equal_opportunity_difference([called[defective & own].mean() for own in by.values()]) == pytest.approx(
        2 / 3 - 1 / 2
    )
    assert predictive_equality_difference([called[~defective & own].mean() for own in by.values()]) == 0
    assert demographic_parity_difference([called[own].mean() for own in by.values()]) == pytest.approx(3 / 5 - 2 / 4)


def test_no_group_has_no_index() -> None:
    for index in (*INDICES, equal_opportunity_difference):
        with pytest.raises(ValueError, match="no group with a value"):
            index([])


def test_groups_without_the_figure_are_named_and_never_zero() -> None:
    assert defined({"b": 0.5, "a": None, "c": 0.0}) == ({"b": 0.5, "c": 0.0}, ("a",))
    found = indices_of("image_auroc", {"x": 0.9, "y": None, "z": 0.8})
    assert (found.groups, found.left_out, found.worst, found.worst_value) == (2, ("y",), "z", 0.8)
    assert found.mean == pytest.approx(0.85)
    assert found.gap == pytest.approx(0.1)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_value_that_is_no_number_is_refused_by_name(value: float) -> None:
    with pytest.raises(ValueError, match=r"group 'dark' is (nan|inf)"):
        indices_of("image_auroc", {"dark": value, "light": 0.5})


@pytest.mark.parametrize("values", [{}, {"a": 0.5}, {"a": 0.5, "b": None}, {"a": None, "b": None}])
def test_fewer_than_two_groups_are_not_compared(values: dict[str, float | None]) -> None:
    assert indices_of("image_auroc", values) is None


@given(st.dictionaries(st.text("abc", min_size=1), st.floats(0, 1), min_size=1))
def test_the_worst_group_is_at_the_right_end(values: dict[str, float]) -> None:
    assert values[worst(values)] == min(values.values())
    assert values[worst(values, higher_is_better=False)] == max(values.values())
    assert worst(dict(reversed(values.items()))) == worst(values)


def test_it_is_told_which_figures_shall_be_low() -> None:
    low = {name for name in FIGURES if not higher_is_better(name)}
    assert low == {name for name in FIGURES if name.startswith(("fpr", "called", "covering"))}
    assert indices_of("fpr@tnr0.95", {"a": 0.1, "b": 0.4}).worst == "b"
    assert indices_of("tpr@tnr0.95", {"a": 0.1, "b": 0.4}).worst == "a"


def test_words_say_what_a_gap_is_called_and_who_is_left_out() -> None:
    found = indices_of("tpr@tnr0.95", {"a": 0.25, "b": 0.75, "c": None})
    words = sentence("tpr@tnr0.95", found, by="site", confidence=0.95)
    assert "worst in a (0.250), best in b (0.750), a gap of 0.500, the equal-opportunity difference" in words
    assert "Not defined, hence left out: c." in words
    equal = sentence("image_auroc", indices_of("image_auroc", {"a": 0.5, "b": 0.5}), by="site", confidence=0.95)
    assert equal == "Image AUROC: 0.500 in both sites, a gap of 0."


def test_the_mean_is_of_groups_and_not_of_pictures() -> None:
    assert indices_of("image_auroc", {"large": 0.9, "small": 0.5}).mean == fmean([0.9, 0.5])
