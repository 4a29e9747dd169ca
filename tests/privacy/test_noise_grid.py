"""Clipping and rounding, held against exact arithmetic."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from anomalib_federated.privacy.noise import STEPS
from anomalib_federated.privacy.noise_grid import NoiseGrid

numbers = st.integers(-(10**9), 10**9).map(float)
vectors = st.integers(1, 40).flatmap(lambda d: arrays.arrays(np.float64, st.tuples(st.integers(1, 5), st.just(d)),
                                                             elements=numbers))  # fmt: skip
grids = {"clip": st.floats(1e-6, 1e6), "multiplier": st.floats(0.1, 200), "adders": st.integers(1, 6)}


def exact_square(vector):
    return sum(Fraction(int(value)) ** 2 for value in vector)


@settings(max_examples=200)
@given(vectors=vectors, **grids)
def test_no_vector_is_longer_than_the_clip(vectors, clip, multiplier, adders):
    grid = NoiseGrid(clip=clip, multiplier=multiplier, dimensions=vectors.shape[1], adders=adders)
    for whole in grid.encode(vectors):
        length = Fraction(STEPS) ** 2 * adders / Fraction(multiplier) ** 2
        assert exact_square(whole) <= length


@settings(max_examples=100)
@given(vectors=vectors, **grids)
def test_short_vectors_stay_as_they_are(vectors, clip, multiplier, adders):
    grid = NoiseGrid(clip=clip, multiplier=multiplier, dimensions=vectors.shape[1], adders=adders)
    short = vectors / (np.linalg.norm(vectors, axis=1, keepdims=True) + 1) * clip * 0.99
    assert np.abs(grid.decode(grid.encode(short)) - short).max() <= grid.step * 0.500001


@given(vectors=vectors, **grids)
def test_long_vectors_keep_their_direction(vectors, clip, multiplier, adders):
    grid = NoiseGrid(clip=clip, multiplier=multiplier, dimensions=vectors.shape[1], adders=adders)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    expected = vectors * np.minimum(1, clip / np.maximum(length, 1e-300))
    assert np.abs(grid.decode(grid.encode(vectors)) - expected).max() <= clip * 1e-3


def test_noise_is_the_multiple_of_the_clip_that_was_asked_for():
    alone = NoiseGrid(clip=3.0, multiplier=2.0, dimensions=4)
    shared = NoiseGrid(clip=3.0, multiplier=2.0, dimensions=4, adders=9)
    assert alone.step * STEPS == pytest.approx(6.0)
    assert shared.step * STEPS * math.sqrt(9) == pytest.approx(6.0)
    assert alone.clip_steps * alone.step <= 3.0
    assert shared.clip_steps * shared.step <= 3.0


def test_a_zero_vector_stays_zero():
    assert not NoiseGrid(clip=1.0, multiplier=1.0, dimensions=3).encode(np.zeros((2, 3))).any()
    assert NoiseGrid(clip=1.0, multiplier=1.0, dimensions=3).encode(np.zeros((0, 3))).shape == (0, 3)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e200])
def test_what_has_no_length_is_refused(value):
    with pytest.raises(ValueError, match="Vector 1 holds"):
        NoiseGrid(clip=1.0, multiplier=1.0, dimensions=2).encode(np.array([[0.0, 1.0], [value, 1.0]]))


@pytest.mark.parametrize("shape", [(2,), (2, 3), (1, 2, 2)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="must be"):
        NoiseGrid(clip=1.0, multiplier=1.0, dimensions=2).encode(np.zeros(shape))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("clip", 0.0), ("clip", math.nan), ("clip", math.inf), ("multiplier", 0.0), ("multiplier", 0.001),
        ("multiplier", math.nan), ("dimensions", 0), ("dimensions", 1 << 40), ("adders", 0),
    ],
)  # fmt: skip
def test_impossible_grids_are_refused(field, value):
    with pytest.raises(ValueError, match="impossible" if field in {"dimensions", "adders"} else field):
        NoiseGrid(**{"clip": 1.0, "multiplier": 1.0, "dimensions": 2, field: value})


def test_more_rounding_than_clip_is_refused():
    with pytest.raises(ValueError, match="release fewer"):
        NoiseGrid(clip=1.0, multiplier=1e5, dimensions=1 << 20)
