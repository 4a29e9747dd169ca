"""AUC-sPRO against its definition, threshold by threshold."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalib_federated.metrics import FPR_LIMITS, Defect, SproAccumulator, auc_spro

DTYPES = ["float64", "float32", "float16", ">f4", "int64", "uint64", "int32", "int8", "uint8", "bool"]


def reference(maps, defects, limits=FPR_LIMITS):
    """The definition: each distinct score is a threshold, strict >, in plain Python; trapezoids up to each limit."""
    lists = [np.asarray(scores).tolist() for scores in maps]
    normal, channels = [], []
    for scores, of_image in zip(lists, defects, strict=True):
        rows, columns = range(len(scores)), range(len(scores[0]))
        masks = [defect.mask.tolist() for defect in of_image]
        normal += [scores[r][c] for r in rows for c in columns if not any(mask[r][c] for mask in masks)]
        for defect, mask in zip(of_image, masks, strict=True):
            channels.append(([scores[r][c] for r in rows for c in columns if mask[r][c]], defect.saturation_area))
    thresholds = sorted({score for scores in lists for row in scores for score in row}, reverse=True)
    x, y = [], []
    for index in range(len(thresholds) + 1):
        # Below the lowest score everything is found; "None" stands for that threshold.
        threshold = thresholds[index] if index < len(thresholds) else None
        found = [sum(threshold is None or score > threshold for score in scores) for scores, _ in channels]
        share = [min(Fraction(n, area), 1) for n, (_, area) in zip(found, channels, strict=True)]
        x.append(sum(threshold is None or score > threshold for score in normal) / len(normal))
        y.append(float(sum(share, Fraction(0)) / len(channels)))
    areas = {}
    for limit in limits:
        inside = [(a, b) for a, b in zip(x, y, strict=True) if a <= limit]
        outside = [(a, b) for a, b in zip(x, y, strict=True) if a > limit]
        if outside:
            (xa, ya), (xb, yb) = inside[-1], outside[0]
            inside.append((limit, ya + (yb - ya) * (limit - xa) / (xb - xa)))
        points = np.array(inside)
        areas[limit] = float(np.trapezoid(points[:, 1], points[:, 0])) / limit
    return areas


@st.composite
def cases(draw, dtypes=DTYPES):
    """Images of differing sizes with ties, overlapping channels and any saturation, the first with a defect."""
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    levels = draw(st.sampled_from([1, 2, 3, 10, 10_000]))
    maps, defects = [], []
    for image in range(draw(st.integers(1, 4))):
        shape = (draw(st.integers(2, 7)), draw(st.integers(2, 7)))
        quantised = rng.integers(levels, size=shape)
        scores = quantised / levels if dtype.kind == "f" else quantised % 100
        maps.append((scores if dtype.kind in "ub" else scores - 0.5 * (dtype.kind == "f") - 20).astype(dtype))
        of_image = []
        for _ in range(draw(st.integers(1 if image == 0 else 0, 3))):
            mask = rng.random(shape) < draw(st.sampled_from([0.1, 0.5]))
            mask[0, 0], mask[-1, -1] = True, False
            area = int(mask.sum())
            of_image.append(Defect(mask, draw(st.integers(1, area))))
        defects.append(of_image)
    return maps, defects


def _assert_close(actual, expected, tolerance=1e-9):
    assert list(actual) == list(expected)
    for limit, value in expected.items():
        assert abs(actual[limit] - value) <= tolerance, (limit, actual[limit], value)


def _square(shape=(6, 8), side=3):
    mask = np.zeros(shape, dtype=bool)
    mask[:side, :side] = True
    return mask


def _simple(seed=0):
    rng = np.random.default_rng(seed)
    maps = [rng.random((6, 8)).astype(np.float32) for _ in range(4)]
    return maps, [[Defect(_square(), 5)], [], [Defect(_square(side=2), 4), Defect(_square(side=4), 9)], []]


@settings(max_examples=250, deadline=None)
@given(cases(), st.floats(0.001, 1))
def test_equals_the_definition(case, limit):
    limits = (*FPR_LIMITS, limit)
    _assert_close(auc_spro(*case, fpr_limits=limits), reference(*case, limits))


def test_equals_the_definition_on_larger_maps():
    rng = np.random.default_rng(3)
    maps = [rng.normal(size=(20, 25)).round(2) for _ in range(3)]
    defects = [[Defect(_square((20, 25), side), side * side * share // 4)] for side, share in ((2, 4), (5, 1), (9, 3))]
    _assert_close(auc_spro(maps, defects), reference(maps, defects))


def test_value_worked_out_by_hand():
    # Defect-free scores 4 3 2 1: one above 3.5, two above 2.5, which are the defect's top two, each worth a half.
    # Height: 0 up to x = 1/4, 1/2 up to x = 1/2, then 1: area 1/4 * 1/2 + 1/2 = 5/8.
    scores = np.array([[4, 3, 2, 1], [3.5, 2.5, 0, 0]])
    mask = np.zeros((2, 4), dtype=bool)
    mask[1] = True
    assert auc_spro([scores], [[Defect(mask, 2)]], fpr_limits=[1.0, 0.5]) == {1.0: 5 / 8, 0.5: 1 / 4}


@pytest.mark.parametrize("value", [0.0, -3.5, 1e30])
def test_constant_map_gives_half_the_limit(value):
    # The polyline is the diagonal: area limit^2 / 2, divided by the limit.
    maps = [np.full((6, 8), value), np.full((3, 5), value)]
    result = auc_spro(maps, [[Defect(_square(), 4), Defect(_square(side=2), 1)], []])
    _assert_close(result, {limit: limit / 2 for limit in FPR_LIMITS}, 1e-15)


def test_perfect_map_gives_one_and_worst_gives_zero():
    # Saturated at 7 of 9 pixels, so the two missed ones cost nothing.
    scores = _square().astype(np.float32)
    scores[0, :2] = 0
    defects = [[Defect(_square(), 7)], []]
    assert auc_spro([scores, np.zeros((4, 4))], defects) == dict.fromkeys(FPR_LIMITS, 1.0)
    assert auc_spro([-_square().astype(int)], [[Defect(_square(), 9)]]) == dict.fromkeys(FPR_LIMITS, 0.0)


@settings(max_examples=40, deadline=None)
@given(cases(), st.randoms(use_true_random=False))
def test_order_of_images_does_not_matter(case, random):
    maps, defects = case
    order = random.sample(range(len(maps)), len(maps))
    _assert_close(auc_spro([maps[i] for i in order], [defects[i] for i in order]), auc_spro(maps, defects), 1e-12)


@settings(max_examples=40, deadline=None)
@given(cases(dtypes=["int32", "uint8", "bool"]))
def test_strictly_monotone_transform_does_not_matter(case):
    maps, defects = case
    # Cubes of integers below 100 are exact in float64 and keep their order.
    assert auc_spro([scores.astype(np.float64) ** 3 - 7 for scores in maps], defects) == auc_spro(maps, defects)


@settings(max_examples=40, deadline=None)
@given(cases())
def test_lies_between_zero_and_one_and_leaves_inputs_alone(case):
    maps, defects = case
    before = [scores.copy() for scores in maps], [[defect.mask.copy() for defect in of] for of in defects]
    assert all(0 <= value <= 1 for value in auc_spro(maps, defects).values())
    for scores, copy in zip(maps, before[0], strict=True):
        np.testing.assert_array_equal(scores, copy)
        assert scores.dtype == copy.dtype
    for of, copies in zip(defects, before[1], strict=True):
        np.testing.assert_array_equal([d.mask for d in of], copies)


def test_integers_beyond_float64_keep_their_order():
    top = 2**63 - 1
    scores = np.array([[top, top - 1]], dtype=np.int64)
    mask = np.array([[True, False]])
    assert auc_spro([scores], [[Defect(mask, 1)]], fpr_limits=[1.0]) == {1.0: 1.0}
    assert auc_spro([scores], [[Defect(~mask, 1)]], fpr_limits=[1.0]) == {1.0: 0.0}


def test_float64_scores_are_not_rounded_to_float32():
    scores = np.array([[1 + 1e-12, 1.0]])
    assert auc_spro([scores], [[Defect(np.array([[True, False]]), 1)]], fpr_limits=[1.0]) == {1.0: 1.0}


@pytest.mark.parametrize("shape", ["stack", "list", "tensor", "generator", "mixed"])
def test_accepted_collections_of_maps(shape):
    maps, defects = _simple()
    given_maps = {
        "stack": np.stack(maps),
        "list": [scores.tolist() for scores in maps],
        "tensor": torch.from_numpy(np.stack(maps)),
        "generator": (scores for scores in maps),
        "mixed": [scores.astype(np.float64 if i % 2 else np.float32) for i, scores in enumerate(maps)],
    }[shape]
    assert auc_spro(given_maps, defects) == auc_spro(maps, defects)


def test_buffer_that_is_used_again():
    maps, defects = _simple()
    buffer = np.empty((6, 8), dtype=np.float32)

    def reuse():
        for scores in maps:
            buffer[:] = scores
            yield buffer

    assert auc_spro(reuse(), defects) == auc_spro(maps, defects)


class TestAccumulator:
    @settings(max_examples=40, deadline=None)
    @given(cases(), st.integers(0, 4))
    def test_merged_parts_equal_the_whole(self, case, cut):
        maps, defects = case
        parts = SproAccumulator(), SproAccumulator()
        for index, pair in enumerate(zip(maps, defects, strict=True)):
            parts[index >= cut].add(*pair)
        parts[0].merge(parts[1])
        assert parts[0].auc() == auc_spro(maps, defects)

    def test_merge_leaves_the_other_as_it_is(self):
        maps, defects = _simple()
        first, second = SproAccumulator(), SproAccumulator()
        first.add(maps[0], defects[0])
        second.add(maps[2], defects[2])
        expected = second.auc()
        first.merge(second)
        first.add(maps[1], defects[1])
        assert second.auc() == expected

    def test_keeps_only_what_counts_in_its_own_dtype(self):
        maps, defects = _simple()
        accumulator = SproAccumulator()
        for pair in zip(maps, defects, strict=True):
            accumulator.add(*pair)
        assert accumulator.saturation_areas.tolist() == [5, 4, 9]
        assert accumulator.channel_scores.shape == (18,)
        assert accumulator.normal_scores.shape == (4 * 48 - 9 - 16,)
        assert accumulator.normal_scores.dtype == np.float32

    def test_auc_may_be_asked_again_and_later(self):
        maps, defects = _simple()
        accumulator = SproAccumulator()
        accumulator.add(maps[0], defects[0])
        assert accumulator.auc([0.3]) == accumulator.auc([0.3]) == auc_spro(maps[:1], defects[:1], fpr_limits=[0.3])
        for pair in zip(maps[1:], defects[1:], strict=True):
            accumulator.add(*pair)
        assert accumulator.auc() == auc_spro(maps, defects)

    def test_rebuilt_from_its_scores(self):
        maps, defects = _simple()
        accumulator = SproAccumulator()
        for pair in zip(maps, defects, strict=True):
            accumulator.add(*pair)
        rebuilt = SproAccumulator.from_scores(
            [accumulator.normal_scores],
            [accumulator.channel_scores],
            saturation_areas=accumulator.saturation_areas,
        )
        assert rebuilt.auc() == accumulator.auc()

    @pytest.mark.parametrize("areas", [[3], [3, 0], [5, -1], []])
    def test_rebuilt_from_scores_that_do_not_fit(self, areas):
        with pytest.raises(ValueError, match="do not fit"):
            SproAccumulator.from_scores([np.ones(3)], [np.ones(4)], saturation_areas=areas)

    def test_refused_image_leaves_no_trace(self):
        maps, defects = _simple()
        accumulator = SproAccumulator()
        accumulator.add(maps[0], defects[0])
        with pytest.raises(ValueError, match="image 1"):
            accumulator.add(maps[1], [Defect(_square(), 2), Defect(_square((7, 7)), 2)])
        assert accumulator.auc() == auc_spro(maps[:1], defects[:1])

    def test_64_bit_integers_with_floats(self):
        first, second = SproAccumulator(), SproAccumulator()
        first.add(np.ones((2, 2), dtype=np.int64), [])
        second.add(np.ones((2, 2)), [])
        with pytest.raises(ValueError, match="merge: scores of float64, int64 cannot be ranked exactly"):
            first.merge(second)
        with pytest.raises(ValueError, match="image 1: scores of int64, uint64 cannot"):
            first.add(np.ones((2, 2), dtype=np.uint64), [])


class TestErrors:
    @pytest.mark.parametrize(
        ("bad", "error", "said"),
        [
            (np.zeros(48), ValueError, r"image 2: .* shape \(48,\)"),
            (np.zeros((1, 6, 8)), ValueError, r"image 2: .* shape \(1, 6, 8\)"),
            (np.zeros((0, 8)), ValueError, "image 2: .* not empty"),
            (np.full((6, 8), np.nan), ValueError, "image 2: .* NaN or infinite"),
            (np.full((6, 8), -np.inf), ValueError, "image 2: .* NaN or infinite"),
            (np.zeros((6, 8), dtype=complex), TypeError, "image 2: .* complex128"),
            (np.full((6, 8), "a"), TypeError, "image 2: .* <U1"),
            (np.full((6, 8), None), TypeError, "image 2: .* object"),
            (np.zeros((6, 8), dtype="M8[s]"), TypeError, "image 2: .* datetime64"),
            (np.zeros((3, 4)), ValueError, r"image 2: .* \(3, 4\) .* defect 0 is \(6, 8\) .* upsample"),
        ],
    )
    def test_bad_map(self, bad, error, said):
        maps, defects = _simple()
        maps[2] = bad
        with pytest.raises(error, match=said):
            auc_spro(maps, defects)

    def test_not_a_defect(self):
        with pytest.raises(TypeError, match="image 0: defect 1 must be a Defect, got ndarray"):
            auc_spro([np.zeros((6, 8))], [[Defect(_square(), 2), _square()]])

    @pytest.mark.parametrize("defects", [Defect(_square(), 2), None])
    def test_defects_without_a_list(self, defects):
        with pytest.raises(TypeError, match=r"image 0: defects must be a list of Defect, .* got (Defect|NoneType)"):
            auc_spro([np.zeros((6, 8))], [defects])

    def test_one_limit_instead_of_a_list(self):
        with pytest.raises(TypeError, match=r"must be a list .* got 0\.05"):
            auc_spro(*_simple(), fpr_limits=0.05)

    @pytest.mark.parametrize(("maps", "lists"), [(3, 4), (4, 3), (0, 4), (4, 0)])
    def test_numbers_differ(self, maps, lists):
        given_maps, given_defects = _simple()
        said = rf"{maps} anomaly maps but {lists} lists of defects \(image {min(maps, lists)} "
        with pytest.raises(ValueError, match=said):
            auc_spro(given_maps[:maps], given_defects[:lists])

    def test_nothing_to_score(self):
        with pytest.raises(ValueError, match="at least one image"):
            auc_spro([], [])
        with pytest.raises(ValueError, match="at least one defect,"):
            auc_spro([np.zeros((2, 2))], [[]])
        with pytest.raises(ValueError, match="at least one defect-free pixel"):
            auc_spro([np.zeros((2, 2))], [[Defect(np.ones((2, 2), dtype=bool), 1)]])

    @pytest.mark.parametrize("limits", [[0.0], [-0.1], [1.001], [0.3, np.nan], [np.inf], []])
    def test_limits(self, limits):
        with pytest.raises(ValueError, match="fpr_limits"):
            auc_spro(*_simple(), fpr_limits=limits)


def test_needs_numpy_only():
    code = (
        "import sys; import anomalib_federated.metrics.spro, anomalib_federated.metrics.defects; "
        "print(sorted({'torch', 'anomalib', 'lightning'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
