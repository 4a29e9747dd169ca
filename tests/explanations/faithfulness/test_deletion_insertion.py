"""Deletion and insertion against closed forms, on a detector whose score is a sum."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalib_federated.explanations.faithfulness.deletion_insertion import Curves, deletion_insertion
from anomalib_federated.explanations.faithfulness.relevance import RelevanceError
from tests.explanations.faithfulness.toy_case import SumCase


def curves(weights: torch.Tensor, relevance: torch.Tensor, *, steps: int = 16) -> Curves:
    case = SumCase(weights)
    return deletion_insertion(case, relevance, reference=case.black, steps=steps)


def test_areas_of_one_relevant_pixel_are_those_of_triangles() -> None:
    weights = torch.zeros(10, 10)
    weights[3, 4] = 7.0
    found = curves(weights, weights, steps=1000)
    # It goes first: the score falls within one hundredth of the pixels. The other 99 tie, and go together.
    assert found.shares == (0.0, 0.01, 1.0)
    assert found.deletion == (7.0, 0.0, 0.0)
    assert found.insertion == (0.0, 7.0, 7.0)
    assert found.deletion_area == pytest.approx(0.005)
    assert found.insertion_area == pytest.approx(0.995)


def test_areas_of_linear_weights_are_those_of_a_parabola() -> None:
    """Weights 1 .. n: after a share x of the pixels the score is (1 - x)^2, whose area is a third."""
    weights = (torch.arange(10_000.0) + 1).reshape(100, 100)
    found = curves(weights, weights, steps=200)
    assert found.deletion_area == pytest.approx(1 / 3, abs=1e-3)
    assert found.insertion_area == pytest.approx(2 / 3, abs=1e-3)
    against = curves(weights, -weights, steps=200)
    assert against.deletion_area == pytest.approx(2 / 3, abs=1e-3)


def test_every_share_has_the_score_of_a_picture_made_by_hand() -> None:
    rng = np.random.default_rng(0)
    weights = torch.from_numpy(rng.random((6, 7))).float()
    relevance = torch.from_numpy(rng.permutation(42).reshape(6, 7)).float()
    found = curves(weights, relevance, steps=5)
    order = np.argsort(-relevance.numpy().ravel())
    gone = np.cumsum(np.append(0, weights.numpy().ravel()[order].astype(float)))
    counts = np.array([0, *(np.ceil(42 * (k / 5) ** 2) for k in range(1, 6))], dtype=int)
    np.testing.assert_allclose(found.shares, counts / 42)
    np.testing.assert_allclose(found.deletion, gone[-1] - gone[counts], atol=1e-6)
    np.testing.assert_allclose(found.insertion, gone[counts], atol=1e-6)
    heights = (gone[-1] - gone[counts]) / gone[-1]
    trapezoids = sum((counts[i + 1] - counts[i]) / 42 * (heights[i] + heights[i + 1]) / 2 for i in range(5))
    assert found.deletion_area == pytest.approx(trapezoids)


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.integers(1, 20))
def test_no_order_deletes_faster_than_that_of_the_weights(seed: int, steps: int) -> None:
    rng = np.random.default_rng(seed)
    weights = torch.from_numpy(rng.permutation(30).reshape(5, 6) + 1.0).float()  # no two alike: all orders share steps
    best = curves(weights, weights, steps=steps)
    other = curves(weights, torch.from_numpy(rng.permutation(30).reshape(5, 6)).float(), steps=steps)
    assert best.shares == other.shares
    assert best.deletion_area <= other.deletion_area + 1e-9
    assert best.insertion_area >= other.insertion_area - 1e-9


def test_a_constant_map_has_no_order_and_gets_the_straight_line() -> None:
    weights = torch.rand(8, 8, generator=torch.Generator().manual_seed(0))
    found = curves(weights, torch.full((8, 8), 3.0))
    assert found.shares == (0.0, 1.0)
    assert (found.deletion_area, found.insertion_area) == (0.5, 0.5)


def test_a_few_relevant_pixels_are_not_lost_among_those_that_tie() -> None:
    weights = torch.zeros(40, 40)
    weights[3, 4:6] = torch.tensor([7.0, 5.0])  # two of 1600; the first of 8 steps would replace 25
    found = curves(weights, weights, steps=8)
    assert found.shares == (0.0, 2 / 1600, 1.0)
    assert found.deletion == (12.0, 0.0, 0.0)


def test_only_the_order_counts() -> None:
    weights = torch.rand(8, 8, generator=torch.Generator().manual_seed(0))
    assert curves(weights, weights) == curves(weights, weights.exp() * 5 - 9)


def test_a_reference_that_scores_no_less_than_the_picture_defines_no_area() -> None:
    weights = -torch.ones(4, 4)
    found = curves(weights, weights)
    assert found.score < found.remaining
    assert (found.deletion_area, found.insertion_area) == (None, None)
    assert curves(torch.zeros(4, 4), weights).deletion_area is None


def test_mixtures_may_score_more_than_the_picture() -> None:
    found = Curves(shares=(0.0, 0.5, 1.0), deletion=(2.0, 4.0, 1.0), insertion=(1.0, 4.0, 2.0))
    assert found.deletion_area == pytest.approx(0.5 * (1 + 3) / 2 + 0.5 * 3 / 2)


@pytest.mark.parametrize("broken", [torch.nan, torch.inf])
def test_maps_that_cannot_be_ordered_are_refused(broken: float) -> None:
    relevance = torch.zeros(4, 4)
    relevance[1, 2] = broken
    with pytest.raises(RelevanceError, match="1 of 16 values are not finite"):
        curves(torch.ones(4, 4), relevance)


def test_other_sizes_and_no_steps_are_refused() -> None:
    case = SumCase(torch.ones(4, 4))
    with pytest.raises(RelevanceError, match="2 x 4, but that of the picture 4 x 4"):
        deletion_insertion(case, torch.ones(2, 4), reference=case.black)
    with pytest.raises(ValueError, match="reference of shape"):
        deletion_insertion(case, torch.ones(4, 4), reference=torch.zeros(3, 2, 2))
    with pytest.raises(ValueError, match="steps is 0"):
        deletion_insertion(case, torch.ones(4, 4), reference=case.black, steps=0)


def test_one_step_is_the_straight_line() -> None:
    found = curves(torch.rand(4, 4) + 1, torch.rand(4, 4), steps=1)
    assert found.deletion_area == 0.5
