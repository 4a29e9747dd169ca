"""Counting scores against comparing each with each."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from anomalib_federated.metrics import score_pool
from anomalib_federated.metrics.score_pool import ScorePool, check_comparable, count_above_and_tied, rankable

FLOATS = st.sampled_from([np.dtype(np.float32), np.dtype(np.float64)])
# Neighbours of each other and of what float32 can hold, signed zeros, subnormals, and what only float64 can.
EDGES = [0.0, -0.0, 1.0, -1.0, 1 + 2**-23, 1 + 2**-40, -1 - 2**-40, 1e-45, -1e-45, 3.4028235e38, -3.4028235e38]
WIDE = [*EDGES, 1e300, -1e300, 1e-300, 16777217.0]


@st.composite
def _floats(draw):
    dtype = draw(FLOATS)
    edges = EDGES if dtype == np.float32 else WIDE
    width = 8 * dtype.itemsize
    some = st.sampled_from([float(dtype.type(edge)) for edge in edges]) | st.floats(
        allow_nan=False, allow_infinity=False, width=width
    )
    return np.array(draw(st.lists(some, max_size=30)), dtype=dtype)


def _pool(*arrays):
    pool = ScorePool()
    for array in arrays:
        pool.add(array)
    return pool


def _assert_counts(pools, queries, scores):
    above, tied = count_above_and_tied(pools, queries)
    # Python compares floats and integers of any size exactly.
    held = [score for array in scores for score in array.tolist()]
    assert above.tolist() == [sum(score > query for score in held) for query in queries.tolist()]
    assert tied.tolist() == [sum(score == query for score in held) for query in queries.tolist()]


@settings(max_examples=150, deadline=None)
@given(st.lists(_floats(), max_size=5), _floats(), st.integers(1, 9), st.integers(1, 3))
def test_counts_floats_of_both_widths_whatever_the_chunks(arrays, queries, chunk, at_once):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(score_pool, "_CHUNK_SCORES", chunk)
        patch.setattr(score_pool, "_CHUNKS_AT_ONCE", at_once)
        pools = [_pool(*arrays[:2]), _pool(), _pool(*arrays[2:])]
        _assert_counts(pools, queries, arrays)
        assert sum(map(len, pools)) == sum(map(len, arrays))


@pytest.mark.parametrize(("held", "queried"), [(np.float32, np.float64), (np.float64, np.float32)])
def test_widths_are_compared_without_rounding(held, queried):
    scores = np.array([-1, -1 - 2**-23, 0, 1, 1 + 2**-23, 3e38], dtype=held)
    queries = np.array([-1 - 2**-40, -1 + 2**-40, -(2.0**-900), 2.0**-900, 1 + 2**-40, 1 - 2**-40, -0.0, 1, 3.4e38])
    queries = np.append(queries, [] if queried == np.float32 else [1e300, -1e300]).astype(queried)
    _assert_counts([_pool(scores)], queries, [scores])


@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_counts_64_bit_integers(dtype, data):
    arrays = [data.draw(hnp.arrays(dtype, st.integers(0, 20))) for _ in range(3)]
    _assert_counts([_pool(*arrays)], np.concatenate([arrays[0], arrays[2][:1]]), arrays)


def test_counts_many_scores():
    rng = np.random.default_rng(0)
    scores = rng.normal(size=30_000).astype(np.float32).round(3)
    queries = rng.normal(size=500).astype(np.float32).round(3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(score_pool, "_CHUNK_SCORES", 1000)
        pool = _pool(scores[:12_345], scores[12_345:])
        assert [len(chunk.tails) for chunk in pool.chunks()] == [1000] * 30
    above, tied = count_above_and_tied([pool], queries)
    np.testing.assert_array_equal(above, (scores > queries[:, None]).sum(1))
    np.testing.assert_array_equal(tied, (scores == queries[:, None]).sum(1))
    assert tied.any()


def test_float32_takes_two_bytes_a_score():
    pool = _pool(np.random.default_rng(0).normal(size=1 << 20).astype(np.float32))
    held = sum(chunk.tails.nbytes + chunk.groups.nbytes + chunk.ends.nbytes for chunk in pool.chunks())
    assert held < 2.1 * len(pool)


def test_scores_may_come_after_a_count():
    pool = _pool(np.array([1.0, 2.0]))
    _assert_counts([pool], np.array([1.0]), [np.array([1.0, 2.0])])
    pool.add(np.array([3.0, 1.0]))
    _assert_counts([pool], np.array([1.0]), [np.array([1.0, 2.0, 3.0, 1.0])])


@pytest.mark.parametrize(
    ("dtype", "kept"),
    [
        (bool, "float32"),
        ("uint8", "float32"),
        (">i2", "float32"),
        ("uint16", "float32"),
        ("float16", "float32"),
        (">f4", "float32"),
        ("int32", "float64"),
        (">u4", "float64"),
        (">f8", "float64"),
        (">i8", "int64"),
        ("uint64", "uint64"),
    ],
)
def test_rankable_rounds_nothing(dtype, kept):
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        scores = np.array([False, True])
    elif dtype.kind == "f":
        scores = np.array([np.finfo(dtype).min, np.finfo(dtype).max, 1], dtype=dtype)
    else:
        scores = np.array([np.iinfo(dtype).min, np.iinfo(dtype).max, np.iinfo(dtype).max - 1], dtype=dtype)
    result = rankable(scores)
    assert result.dtype == np.dtype(kept)
    assert result.dtype.isnative
    assert [int(score) for score in result.tolist()] == [int(score) for score in scores.tolist()]


def test_rankable_does_not_copy_what_is_kept():
    scores = np.ones(3, dtype=np.float32)
    assert rankable(scores) is scores


@pytest.mark.parametrize("dtype", ["complex64", "longdouble", "U1", "O", "M8[s]"])
def test_not_rankable(dtype):
    with pytest.raises(TypeError, match="real numbers of at most 64 bits"):
        rankable(np.empty(2, dtype=dtype))


def test_what_can_be_compared():
    check_comparable(frozenset(map(np.dtype, ["float32", "float64"])), "here")
    check_comparable(frozenset(map(np.dtype, ["int64"])), "here")
    for other in ("float64", "uint64"):
        with pytest.raises(ValueError, match=f"here: scores of .*{other}.* cannot be ranked exactly"):
            check_comparable(frozenset(map(np.dtype, ["int64", other])), "here")
