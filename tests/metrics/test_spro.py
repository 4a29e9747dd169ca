"""AUC-sPRO against its definition, threshold by threshold."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalib_federated.metrics import FPR_LIMITS, Defect, SproAccumulator, auc_spro
from tests.metrics.brute_force import assert_close, cases, reference


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
    assert_close(auc_spro(*case, fpr_limits=limits), reference(*case, limits))


def test_equals_the_definition_on_larger_maps():
    rng = np.random.default_rng(3)
    maps = [rng.normal(size=(20, 25)).round(2) for _ in range(3)]
    defects = [[Defect(_square((20, 25), side), side * side * share // 4)] for side, share in ((2, 4), (5, 1), (9, 3))]
    assert_close(auc_spro(maps, defects), reference(maps, defects))


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
    assert_close(result, {limit: limit / 2 for limit in FPR_LIMITS}, 1e-15)


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
    assert_close(auc_spro([maps[i] for i in order], [defects[i] for i in order]), auc_spro(maps, defects), 1e-12)


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
    def test_keeps_only_what_counts(self):
        maps, defects = _simple()
        accumulator = SproAccumulator()
        for pair in zip(maps, defects, strict=True):
            accumulator.add(*pair)
        assert [len(channel.scores) for channel in accumulator.channels] == [5, 4, 9]
        assert len(accumulator.normal) == 4 * 48 - 9 - 16
        assert [len(scores) for scores in accumulator.masked] == [9, 16]
        assert (accumulator.images, accumulator.dtypes) == (4, {np.dtype(np.float32)})

    def test_auc_may_be_asked_again_and_later(self):
        maps, defects = _simple()
        accumulator = SproAccumulator()
        accumulator.add(maps[0], defects[0])
        assert accumulator.auc([0.3]) == accumulator.auc([0.3]) == auc_spro(maps[:1], defects[:1], fpr_limits=[0.3])
        for pair in zip(maps[1:], defects[1:], strict=True):
            accumulator.add(*pair)
        assert accumulator.auc() == auc_spro(maps, defects)

    def test_refused_image_leaves_no_trace(self):
        maps, defects = _simple()
        accumulator = SproAccumulator()
        accumulator.add(maps[0], defects[0])
        with pytest.raises(ValueError, match="image 1"):
            accumulator.add(maps[1], [Defect(_square(), 2), Defect(_square((7, 7)), 2)])
        with pytest.raises(ValueError, match="image 1: scores of float32, int64 cannot be ranked exactly"):
            accumulator.add(maps[1].astype(np.int64), [Defect(_square(), 2)])
        assert accumulator.auc() == auc_spro(maps[:1], defects[:1])


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
            (np.zeros((6, 8), dtype=np.longdouble), TypeError, "image 2: .* at most 64 bits"),
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


def test_needs_no_torch():
    code = (
        "import sys; import anomalib_federated.metrics; "
        "print(sorted({'torch', 'anomalib', 'lightning'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
