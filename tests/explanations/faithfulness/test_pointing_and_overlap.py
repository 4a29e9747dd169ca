"""The pointing game and overlap by hand; ties, constant maps and masks that are none."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from anomalib_federated.explanations.faithfulness.defect_mask import mask_seen
from anomalib_federated.explanations.faithfulness.mask_overlap import mask_overlap
from anomalib_federated.explanations.faithfulness.pointing import pointing
from anomalib_federated.explanations.faithfulness.relevance import RelevanceError


def square(*, size: int = 40) -> Tensor:
    mask = torch.zeros(size, size, dtype=torch.bool)
    mask[10:14, 10:14] = True
    return mask


def spike(*places: tuple[int, int], size: int = 40) -> Tensor:
    relevance = torch.zeros(size, size)
    for place in places:
        relevance[place] = 1.0
    return relevance


def test_a_hit_is_on_the_defect_or_within_the_tolerance() -> None:
    mask = square()
    assert pointing(spike((11, 12)), mask, tolerance=0) == 1
    assert pointing(spike((11, 18)), mask, tolerance=5) == 1  # 5 pixels beside the last column
    assert pointing(spike((11, 19)), mask, tolerance=5) == 0
    assert pointing(spike((17, 17)), mask, tolerance=5) == 0  # 4 down and 4 across: 5.66
    assert pointing(spike((16, 16)), mask, tolerance=5) == 1


def test_tied_maxima_hit_in_part() -> None:
    assert pointing(spike((11, 11), (30, 30), (31, 31)), square(), tolerance=0) == pytest.approx(1 / 3)


def test_a_constant_map_points_as_well_as_chance() -> None:
    assert pointing(torch.full((40, 40), 2.0), square(), tolerance=0) == pytest.approx(16 / 1600)
    # as much of the picture as it should cover, 16 pixels, of which a hundredth hits
    assert mask_overlap(torch.full((40, 40), 2.0), square()) == pytest.approx(0.16 / (32 - 0.16))


def test_overlap_by_hand() -> None:
    mask = square()
    assert mask_overlap(mask.float(), mask) == 1
    assert mask_overlap(-mask.float(), mask) == 0
    shifted = torch.roll(mask, (0, 2), (0, 1)).float()
    assert mask_overlap(shifted, mask) == pytest.approx(8 / 24)
    wide = torch.zeros(40, 40)
    wide[10:14, 10:18] = 1.0  # twice the area: half of its pixels count, half of those hit
    assert mask_overlap(wide, mask) == pytest.approx(8 / 24)
    narrow = torch.zeros(40, 40)
    narrow[10:12, 10:14] = 1.0  # 8 pixels hit; 8 more are any of the others, of which 8 of 1592 hit
    hits = 8 + 8 * 8 / 1592
    assert mask_overlap(narrow, mask) == pytest.approx(hits / (32 - hits))


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_overlap_without_ties_is_that_of_the_largest_values(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random((6, 7)) < 0.3
    mask[0, 0] = True
    relevance = rng.permutation(42).reshape(6, 7)
    chosen = np.zeros(42, dtype=bool)
    chosen[np.argsort(-relevance.ravel())[: mask.sum()]] = True
    expected = (chosen & mask.ravel()).sum() / (chosen | mask.ravel()).sum()
    found = mask_overlap(torch.from_numpy(relevance).float(), torch.from_numpy(mask))
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("measure", [pointing, mask_overlap])
def test_maps_that_cannot_be_judged_are_refused(measure: object) -> None:
    broken = torch.zeros(40, 40)
    broken[0, 0] = torch.nan
    with pytest.raises(RelevanceError, match="1 of 1600 values are not finite"):
        measure(broken, square())
    with pytest.raises(RelevanceError, match="4 x 4"):
        measure(torch.zeros(4, 4), square())


def test_masks_are_resized_without_losing_a_scratch() -> None:
    scratch = np.zeros((100, 60), dtype=bool)
    scratch[:, 31] = True
    other = np.zeros((100, 60), dtype=bool)
    other[0, 0] = True
    seen = mask_seen([scratch, other], (10, 20))
    assert seen[:, 10].all()
    assert seen.sum() == 11
    larger = mask_seen([np.array([[True, False], [False, False]])], (4, 4))
    assert larger.nonzero().tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]


def test_pictures_without_a_defect_are_refused() -> None:
    for masks in ([], [np.zeros((4, 4), dtype=bool)]):
        with pytest.raises(RelevanceError, match="no annotated defect"):
            mask_seen(masks, (4, 4))
