"""compare: pairs, averages, corrections and words, against worked examples."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from anomalib_federated.evaluation.comparison.compare import MethodComparison, compare, headline
from anomalib_federated.evaluation.comparison.statistics import minimum_detectable_effect
from anomalib_federated.evaluation.results import Result
from tests.evaluation.made_results import made_result, made_results

# Differences -0.1, -0.05, -0.15: mean -0.1, standard deviation 0.05, t = -0.1 / (0.05 / sqrt(3)) = -3.46, d = -2.
THREE = {
    "centralised": {"clip": 0.8, "nut": 0.7, "pipe": 0.6},
    "federated": {"clip": 0.7, "nut": 0.65, "pipe": 0.45},
}

values = st.integers(10, 90).map(lambda percent: percent / 100)
tables = st.fixed_dictionaries(
    {
        method: st.fixed_dictionaries({category: st.tuples(values, values) for category in ("clip", "nut", "pipe")})
        for method in ("centralised", "federated_iid", "federated_category")
    }
)


def only(results: list[Result], **choice: str) -> MethodComparison:
    (method,) = compare(results, **choice).methods
    return method


def test_the_numbers_are_those_worked_by_hand() -> None:
    found = only(made_results(THREE))
    assert [pair.unit for pair in found.pairs] == ["clip", "nut", "pipe"]
    assert [pair.difference for pair in found.pairs] == pytest.approx([-0.1, -0.05, -0.15])
    assert [pair.relative for pair in found.pairs] == pytest.approx([-0.125, -0.05 / 0.7, -0.25])
    assert (found.mean, found.baseline_mean) == pytest.approx((0.6, 0.7))
    assert found.relative == pytest.approx(-1 / 7)
    assert found.difference.value == pytest.approx(-0.1)
    assert found.difference.low == pytest.approx(-0.1 - stats.t.ppf(0.975, 2) * 0.05 / 3**0.5)
    assert found.t_test.p == pytest.approx(stats.ttest_rel([0.7, 0.65, 0.45], [0.8, 0.7, 0.6]).pvalue)
    assert found.wilcoxon.p == 0.25
    assert found.effect.value == pytest.approx(-2.0)
    assert found.detectable.value == pytest.approx(0.05 * minimum_detectable_effect(3))
    assert found.significant is False


def test_the_words_say_what_was_found_and_what_could_not_be() -> None:
    assert only(made_results(THREE)).sentences == (
        "Over 3 categories, federated loses 14.3 % of AUC-sPRO@0.05 compared with centralised "
        "(0.600 instead of 0.700; 95 % interval of the difference -0.224 to +0.024).",
        "Neither test tells this from chance (t-test p = 0.0742, Wilcoxon p = 0.25).",
        "With 3 categories Wilcoxon cannot be significant: its smallest p is 0.25.",
        "A true mean difference below 0.16 would have been missed more often than one time in five.",
    )


def test_with_two_categories_wilcoxon_cannot_say_anything() -> None:
    table = {method: {name: row[name] for name in ("clip", "nut")} for method, row in THREE.items()}
    said = only(made_results(table)).sentences
    assert "With 2 categories Wilcoxon cannot be significant: its smallest p is 0.5." in said


def test_seeds_are_averaged_within_a_category_before_anything_is_tested() -> None:
    seeds = {
        method: {name: (value - 0.01, value + 0.03, value - 0.02) for name, value in row.items()}
        for method, row in THREE.items()
    }
    found, of_means = only(made_results(seeds)), only(made_results(THREE))
    assert found.unit == "category"
    assert len(found.pairs) == 3
    assert (found.t_test.p, found.wilcoxon.p) == pytest.approx((of_means.t_test.p, of_means.wilcoxon.p))
    assert [pair.spread for pair in found.pairs] == pytest.approx([0.0, 0.0, 0.0], abs=1e-12)


def test_the_spread_over_seeds_is_told() -> None:
    # In nut the differences of the seeds are -0.1 and 0.1: standard deviation sqrt(0.02) = 0.14.
    table = {
        "centralised": {"clip": (0.5, 0.6), "nut": (0.6, 0.5)},
        "federated": {"clip": (0.4, 0.5), "nut": (0.5, 0.6)},
    }
    found = only(made_results(table))
    assert found.pairs[1].spread == pytest.approx(0.02**0.5)
    assert found.sentences[-1] == (
        "Seeds are averaged within a category, where the difference varies with a standard deviation of up to 0.14."
    )


def test_of_one_category_seeds_are_the_units_and_the_words_say_so() -> None:
    found = only(made_results({"centralised": {"nut": (0.8, 0.7, 0.6)}, "federated": {"nut": (0.7, 0.65, 0.45)}}))
    assert found.unit == "seed"
    assert [pair.unit for pair in found.pairs] == ["seed 0", "seed 1", "seed 2"]
    assert found.wilcoxon.p == 0.25
    assert found.sentences[0].startswith("On nut alone, over 3 seeds, federated loses 14.3 %")
    assert found.sentences[-1] == "Seeds share their test images, so this tells about nut only."


def test_a_single_pair_is_not_tested() -> None:
    results = made_results({"centralised": {"nut": 0.8}, "federated": {"nut": 0.7}})
    found = only(results)
    assert (found.t_test.p, found.wilcoxon.p, found.t_test_holm, found.effect.value) == (None,) * 4
    assert found.sentences[1] == "One category with one seed is a single pair: nothing can be tested."
    assert "too little to judge chance" in headline([compare(results)])


def test_equal_methods_lose_nothing() -> None:
    found = only(made_results({"centralised": THREE["centralised"], "federated": THREE["centralised"]}))
    assert found.significant is None
    assert "federated loses nothing of AUC-sPRO@0.05" in found.sentences[0]
    assert found.sentences[1] == "There is nothing to test: all differences are zero."


def test_equal_differences_leave_the_verdict_to_wilcoxon() -> None:
    baseline = {name: 0.5 + 0.03 * at for at, name in enumerate("abcdef")}
    table = {"centralised": baseline, "federated": {name: value + 0.01 for name, value in baseline.items()}}
    found = only(made_results(table))
    assert found.t_test.p is None
    assert found.wilcoxon_holm == 2 / 2**6
    assert found.significant
    assert "A t-test cannot be made, for all differences are equal" in found.sentences[1]


def test_pairs_are_made_of_what_both_have_and_the_rest_is_named() -> None:
    table = {
        "centralised": {"clip": (0.8, 0.6), "nut": 0.7, "pipe": 0.6, "wire": None},
        "federated": {"clip": 0.7, "nut": (0.6, 0.9), "screw": 0.5, "wire": None},
    }
    found = only(made_results(table))
    assert [(pair.unit, pair.seeds) for pair in found.pairs] == [("clip", (0,)), ("nut", (0,))]
    assert [(pair.value, pair.baseline) for pair in found.pairs] == [(0.7, 0.8), (0.6, 0.7)]
    assert found.left_out == (
        "clip with seed 1 (no value of federated)",
        "nut with seed 1 (no value of centralised)",
        "pipe (no result of federated)",
        "screw (no result of centralised)",
        "wire (no seed has a value of both)",
    )
    assert found.sentences[-1] == f"Left out: {', '.join(found.left_out)}."


def test_a_method_without_any_pair_is_told_but_does_not_count_as_tested() -> None:
    comparison = compare(made_results({**THREE, "other": {"wire": 0.5}}))
    federated, other = comparison.methods
    assert federated.t_test_holm == federated.t_test.p
    assert other.sentences[0] == "other cannot be compared with centralised by AUC-sPRO@0.05."
    assert (other.mean, other.difference.value, other.significant) == (None, None, None)
    assert "other" not in headline([comparison])


def test_holm_corrects_for_the_number_of_methods() -> None:
    baseline = {name: 0.5 + 0.03 * at for at, name in enumerate("abcdef")}
    lower = {name: value - 0.01 * (at + 1) for at, (name, value) in enumerate(baseline.items())}
    mixed = {name: value + 0.01 * (-1) ** at for at, (name, value) in enumerate(baseline.items())}
    first, second = compare(made_results({"centralised": baseline, "lower": lower, "mixed": mixed})).methods
    assert first.wilcoxon_holm == 2 * first.wilcoxon.p == 2 * 2 / 2**6
    assert first.t_test_holm == pytest.approx(2 * first.t_test.p)
    assert second.t_test_holm == max(first.t_test_holm, second.t_test.p)
    # With one method fewer Wilcoxon would be significant, so it cannot be now; that is said.
    assert (
        "With 6 categories and 2 methods Wilcoxon cannot be significant: its smallest p is 0.0625." in first.sentences
    )


def test_the_headline_says_if_the_t_test_is_alone() -> None:
    # Differences -0.1, -0.11, -0.12: t = -0.11 / (0.01 / sqrt(3)) = -19, while Wilcoxon cannot be below 0.25.
    table = {"centralised": THREE["centralised"], "federated": {"clip": 0.7, "nut": 0.59, "pipe": 0.48}}
    comparison = compare(made_results(table))
    assert comparison.methods[0].significant
    assert "Only the t-test tells this from chance" in comparison.methods[0].sentences[1]
    assert headline([comparison]).endswith("3 categories), more than chance explains, by the t-test alone.")
    # Six differences of one sign are enough for both.
    baseline = dict.fromkeys("abcdef", 0.5)
    lower = {name: 0.4 - 0.01 * at for at, name in enumerate("abcdef")}
    both = compare(made_results({"centralised": baseline, "federated": lower}))
    assert "Both tests tell this from chance (t-test p " in both.methods[0].sentences[1]
    assert headline([both]).endswith("6 categories), more than chance explains.")


@settings(max_examples=25)
@given(tables, st.randoms(use_true_random=False))
def test_the_order_of_results_changes_nothing(table: dict, shuffler: random.Random) -> None:
    results = made_results(table)
    shuffled = list(results)
    shuffler.shuffle(shuffled)
    assert compare(shuffled) == compare(results)


@settings(max_examples=25)
@given(tables)
def test_a_constant_added_to_all_values_keeps_the_tests(table: dict) -> None:
    raised = {
        method: {name: tuple(value + 0.05 for value in seeds) for name, seeds in row.items()}
        for method, row in table.items()
    }
    for method, other in zip(compare(made_results(table)).methods, compare(made_results(raised)).methods, strict=True):
        assert (method.t_test, method.wilcoxon, method.effect) == (other.t_test, other.wilcoxon, other.effect)
        assert (method.t_test_holm, method.wilcoxon_holm) == (other.t_test_holm, other.wilcoxon_holm)


@settings(max_examples=25)
@given(tables)
def test_exchanging_method_and_baseline_turns_the_signs(table: dict) -> None:
    results = [result for result in made_results(table) if result.method != "federated_iid"]
    forth, back = only(results), only(results, baseline="federated_category")
    assert forth.difference.value == pytest.approx(-back.difference.value, abs=1e-12)
    assert forth.t_test.p == pytest.approx(back.t_test.p) if forth.t_test.p is not None else back.t_test.p is None
    assert forth.wilcoxon.p == back.wilcoxon.p
    if forth.effect.low is not None:
        assert (forth.effect.low, forth.effect.high) == pytest.approx((-back.effect.high, -back.effect.low), rel=1e-6)


def test_the_headline_answers_in_one_sentence_per_figure() -> None:
    results = made_results(THREE)
    assert headline([compare(results), compare(results, figure="auc_spro@0.01")]) == (
        "Compared with centralised, federated loses 14.3 % of AUC-sPRO@0.05 (0.600 instead of 0.700; 95 % interval of "
        "the difference -0.224 to +0.024; 3 categories), which chance can explain. "
        "Compared with centralised, federated loses 14.3 % of AUC-sPRO@0.01 (0.300 instead of 0.350; 95 % interval of "
        "the difference -0.112 to +0.012; 3 categories), which chance can explain."
    )


def test_the_headline_of_many_methods_names_the_best_and_the_worst() -> None:
    lower = {
        f"minus_{k}": {name: value - 0.01 * k for name, value in THREE["centralised"].items()} for k in range(1, 6)
    }
    said = headline([compare(made_results({"centralised": THREE["centralised"], **lower}))])
    assert said.startswith("Compared with centralised (the best and the worst of 5 methods), minus_1 loses 1.4 %")
    assert "minus_5" in said
    assert "minus_3" not in said
    assert headline([compare(made_results({"centralised": {"nut": 0.5}}))]) == (
        "No method can be compared with centralised by AUC-sPRO@0.05."
    )


def test_what_cannot_be_compared_is_refused_with_what_there_is() -> None:
    results = made_results(THREE)
    with pytest.raises(ValueError, match=r"There is no figure 'auroc'; choose one of image_auroc, .*auc_spro@0\.01"):
        compare(results, figure="auroc")
    with pytest.raises(ValueError, match=r"the baseline 'pooled'; choose one of centralised, federated\."):
        compare(results, baseline="pooled")
    with pytest.raises(ValueError, match="two results of federated on nut with seed 0"):
        compare([*results, made_result("federated", "nut", 0.3)])
    with pytest.raises(ValueError, match=r"auc_spro@0\.05 of federated on wire with seed 0 is nan"):
        compare([*results, made_result("federated", "wire", float("nan"))])
    with pytest.raises(ValueError, match="no results; evaluate a model first"):
        compare([])


def test_a_baseline_of_zero_has_no_relative_gap() -> None:
    found = only(made_results({"centralised": {"nut": 0.0}, "federated": {"nut": 0.1}}))
    assert (found.relative, found.pairs[0].relative) == (None, None)
    assert "gains +0.100 of AUC-sPRO@0.05" in found.sentences[0]
