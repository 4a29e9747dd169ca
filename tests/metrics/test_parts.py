"""Measures of several parts against the definition on all images at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from anomalib_federated.metrics import (
    FPR_LIMITS,
    Defect,
    SproAccumulator,
    auc_spro,
    auc_spro_of,
    curve_of,
    pixel_classification_of,
)
from tests.metrics.brute_force import assert_close, cases, in_parts, reference, reference_curve

PARTS_OF_FOUR = st.lists(st.integers(0, 2), min_size=4, max_size=4)


def _pixels(maps, defects):
    """Every pixel's score and whether a mask holds it."""
    scores = np.concatenate([np.ravel(scores) for scores in maps])
    masked = [
        np.any([np.zeros(np.shape(scores), dtype=bool), *(defect.mask for defect in of)], axis=0).ravel()
        for scores, of in zip(maps, defects, strict=True)
    ]
    return scores, np.concatenate(masked)


def _smooth(seed=0):
    """Eight images of 20 x 15, ties and all, defects of two types."""
    rng = np.random.default_rng(seed)
    maps = [rng.normal(size=(20, 15)).astype(np.float32).round(2) for _ in range(8)]
    defects = [[] for _ in maps]
    for index in (0, 3, 4):
        for name, share in (("dent", 0.05), ("scratch", 0.1))[index % 2 :]:
            mask = rng.random((20, 15)) < share
            maps[index][mask] += 1
            defects[index].append(Defect(mask, max(int(mask.sum()) // 2, 1), name))
    return maps, defects


def _interpolated(x, y, rate):
    last = np.flatnonzero(x <= rate)[-1]
    following = min(last + 1, len(x) - 1)
    share = (rate - x[last]) / (x[following] - x[last]) if following > last else 0
    return y[last] + share * (y[following] - y[last])


@settings(max_examples=80, deadline=None)
@given(cases(), PARTS_OF_FOUR)
def test_cutting_into_parts_changes_nothing(case, part_of):
    maps, defects = case
    parts = in_parts(maps, defects, part_of[: len(maps)])
    assert_close(auc_spro_of(parts), auc_spro(maps, defects), 1e-12)
    assert_close(auc_spro_of(parts[::-1]), auc_spro(maps, defects), 1e-12)
    whole = in_parts(maps, defects, [0] * len(maps))
    assert pixel_classification_of(parts) == pixel_classification_of(whole)
    for cut, uncut in zip(curve_of(parts, points=9), curve_of(whole, points=9), strict=True):
        np.testing.assert_allclose(cut, uncut, rtol=0, atol=1e-12)


@settings(max_examples=80, deadline=None)
@given(cases(), PARTS_OF_FOUR, st.sampled_from([["dent"], ["scratch"], ["dent", "scratch"], ["dent", "other"]]))
def test_named_channels_count_and_all_masks_are_no_false_positives(case, part_of, names):
    maps, defects = case
    parts = in_parts(maps, defects, part_of[: len(maps)])
    if any(defect.name in names for of in defects for defect in of):
        expected = reference(maps, defects, (0.05, 0.7), names)
        assert_close(auc_spro_of(parts, fpr_limits=(0.05, 0.7), names=names), expected)
    else:
        with pytest.raises(ValueError, match="no defect is named"):
            auc_spro_of(parts, names=names)


def test_parts_stay_as_they_are_and_serve_several_groups():
    maps, defects = _smooth()
    parts = in_parts(maps, defects, [1, 0, 0, 2, 1, 0, 0, 0])
    groups = {(0, 1): [0, 1, 2, 4, 5, 6, 7], (0, 2): [1, 2, 3, 5, 6, 7], (0, 1, 2): range(8)}
    for _ in range(2):
        for group, images in groups.items():
            expected = reference([maps[i] for i in images], [defects[i] for i in images])
            assert_close(auc_spro_of([parts[part] for part in group]), expected)


class TestCurve:
    @settings(max_examples=80, deadline=None)
    @given(cases(), st.integers(2, 40))
    def test_lies_on_the_polyline_of_the_definition(self, case, points):
        rates, heights = curve_of(in_parts(*case, [0] * len(case[0])), points=points)
        x, y = map(np.array, reference_curve(*case))
        for rate, height in zip(rates, heights, strict=True):
            # Where it rises upright the upper end; a rate that rounding put just beside may give either end.
            low, high = (_interpolated(x, y, min(rate * (1 + sign * 1e-12), 1)) for sign in (-1, 1))
            assert low - 1e-9 < height < high + 1e-9
            assert rate > 0 or height == high

    @settings(max_examples=40, deadline=None)
    @given(cases(), st.integers(2, 60))
    def test_ascends_from_zero_to_one(self, case, points):
        rates, heights = curve_of(in_parts(*case, [0] * len(case[0])), points=points)
        assert rates.shape == heights.shape == (points,)
        assert (rates[0], rates[-1], heights[-1]) == (0, 1, 1)
        assert (np.diff(rates) > 0).all()
        assert (np.diff(heights) >= 0).all()
        assert heights[0] >= 0

    def test_area_under_many_points_is_the_area(self):
        parts = in_parts(*_smooth(), [0] * 8)
        rates, heights = curve_of(parts, points=4000)
        assert np.trapezoid(heights, rates) == pytest.approx(auc_spro_of(parts)[1.0], abs=1e-4)

    def test_is_denser_at_small_rates(self):
        rates, _ = curve_of(in_parts(*_smooth(), [0] * 8))
        assert len(rates) == 200
        assert (rates < 0.05).sum() > 100
        assert rates[1] == pytest.approx(1e-4)

    def test_starts_at_what_is_found_without_a_false_positive(self):
        mask = np.array([[True, True, False, False]])
        part = SproAccumulator()
        part.add(np.array([[5.0, 1.0, 2.0, 1.0]]), [Defect(mask, 2)])
        rates, heights = curve_of([part], points=2)
        # Half of the defect is above both others; its other half ties with one of them.
        assert (rates.tolist(), heights.tolist()) == ([0, 1], [0.5, 1])

    def test_too_few_points(self):
        with pytest.raises(ValueError, match="points must be 2 or more, got 1"):
            curve_of(in_parts(*_smooth(), [0] * 8), points=1)


class TestPixels:
    @settings(max_examples=80, deadline=None)
    @given(cases(dtypes=["float64", "float32", "float16", "int32", "uint8", "bool"]), PARTS_OF_FOUR)
    def test_equals_scikit_learn(self, case, part_of):
        maps, defects = case
        scores, masked = _pixels(maps, defects)
        figures = pixel_classification_of(in_parts(maps, defects, part_of[: len(maps)]))
        # In float64, which rounds none of these; float16 would overflow in scikit-learn.
        assert abs(figures.auroc - roc_auc_score(masked, scores.astype(np.float64))) < 1e-9
        assert abs(figures.average_precision - average_precision_score(masked, scores.astype(np.float64))) < 1e-9

    def test_equals_scikit_learn_on_larger_maps(self):
        maps, defects = _smooth(1)
        scores, masked = _pixels(maps, defects)
        figures = pixel_classification_of(in_parts(maps, defects, [0, 1] * 4))
        assert abs(figures.auroc - roc_auc_score(masked, scores)) < 1e-9
        assert abs(figures.average_precision - average_precision_score(masked, scores)) < 1e-9

    def test_nothing_to_tell_apart(self):
        good, covered = SproAccumulator(), SproAccumulator()
        good.add(np.zeros((2, 2)), [])
        covered.add(np.zeros((2, 2)), [Defect(np.ones((2, 2), dtype=bool), 1)])
        for parts, said in (([good], "of a mask"), ([covered], "free of every mask"), ([], "of a mask")):
            with pytest.raises(ValueError, match=said):
                pixel_classification_of(parts)
        assert pixel_classification_of([good, covered]).auroc == 0.5


class TestErrors:
    def test_nothing_to_score(self):
        with pytest.raises(ValueError, match="at least one image"):
            auc_spro_of([])
        with pytest.raises(ValueError, match="at least one image"):
            auc_spro_of([SproAccumulator()])
        good = in_parts([np.zeros((2, 2))], [[]], [0])
        for names in (None, ["dent"]):
            with pytest.raises(ValueError, match="at least one defect,"):
                auc_spro_of(good, names=names)

    def test_unknown_name_lists_the_known(self):
        with pytest.raises(ValueError, match="no defect is named 'dint'; the defects are named 'dent', 'scratch'"):
            auc_spro_of(in_parts(*_smooth(), [0] * 8), names=["dint"])

    def test_names_as_a_text(self):
        with pytest.raises(TypeError, match=r"such as \['dent'\]"):
            auc_spro_of(in_parts(*_smooth(), [0] * 8), names="dent")

    @pytest.mark.parametrize("limits", [[], [0.0], [1.5]])
    def test_limits(self, limits):
        with pytest.raises(ValueError, match="fpr_limits"):
            auc_spro_of(in_parts(*_smooth(), [0] * 8), fpr_limits=limits)

    def test_parts_that_cannot_be_compared(self):
        mask = np.array([[True, False]])
        parts = [SproAccumulator(), SproAccumulator()]
        parts[0].add(np.array([[2, 1]]), [Defect(mask, 1)])
        parts[1].add(np.array([[2.0, 1.0]]), [])
        for measure in (auc_spro_of, curve_of, pixel_classification_of):
            with pytest.raises(ValueError, match="the parts: scores of float64, int64 cannot be ranked exactly"):
                measure(parts)


def test_default_limits():
    assert list(auc_spro_of(in_parts(*_smooth(), [0] * 8))) == list(FPR_LIMITS)
