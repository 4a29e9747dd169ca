"""Rows of tensors: blocks, single rows, what is refused."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anomalib_federated.selection import rows
from anomalib_federated.selection.rows import Rows, TensorRows, as_rows
from anomalib_federated.testing.rows import BlockRows


def features(n, d, dtype=torch.float32):
    return torch.from_numpy(np.random.default_rng(n + d).standard_normal((n, d))).to(dtype)


@given(n=st.integers(1, 50), d=st.integers(1, 6), block_bytes=st.integers(1, 400))
def test_blocks_are_all_rows_in_order(n, d, block_bytes):
    given_rows, whole = TensorRows(features(n, d)), rows.BLOCK_BYTES
    rows.BLOCK_BYTES = block_bytes
    try:
        blocks = list(given_rows.blocks())
    finally:
        rows.BLOCK_BYTES = whole
    assert torch.equal(torch.cat([block for _, block in blocks]), features(n, d))
    assert [row for which, _ in blocks for row in range(which.start, which.stop)] == list(range(n))
    assert all(len(block) == 1 or 4 * block.numel() <= block_bytes for _, block in blocks)
    assert given_rows.passes == 1


@pytest.mark.parametrize("make", [TensorRows, lambda tensor: BlockRows(tensor, step=4)])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_rows_are_float32_whatever_they_are_stored_in(make, dtype):
    tensor = features(10, 3, dtype)
    made = make(tensor)
    assert (len(made), made.shape, made.state, made.where(3)) == (10, (10, 3), None, "row 3")
    for found, expected in (
        (made.read(slice(2, 7)), tensor[2:7]),
        (made.take(torch.tensor([9, 0, 9])), tensor[[9, 0, 9]]),
    ):
        assert found.dtype == torch.float32
        assert torch.equal(found, expected.float())


def test_a_pass_counts_once_it_is_finished():
    made = BlockRows(features(10, 3), step=4)
    next(made.blocks())
    assert made.passes == 0
    assert [which for which, _ in made.blocks()] == [slice(0, 4), slice(4, 8), slice(8, 10)]
    assert made.passes == 1


def test_single_rows_are_copies():
    tensor = features(4, 2)
    TensorRows(tensor).take(torch.arange(4)).zero_()
    BlockRows(tensor, step=2).read(slice(0, 4)).zero_()
    assert torch.equal(tensor, features(4, 2))


def test_rows_stay_what_they_are():
    made = BlockRows(features(4, 2), step=2)
    assert as_rows(made) is made
    assert isinstance(as_rows(features(4, 2)), Rows)


@pytest.mark.parametrize("wrong", [np.eye(3), [[1.0]], None])
def test_other_things_are_refused(wrong):
    with pytest.raises(TypeError, match=f"must be a torch tensor or Rows, got {type(wrong).__name__}"):
        as_rows(wrong)


@pytest.mark.parametrize(
    "wrong", [torch.ones(3), torch.ones(2, 2, 2), torch.ones(0, 3), torch.ones(3, 0), torch.ones(3, 3).int()]
)
def test_other_tensors_are_refused(wrong):
    with pytest.raises(ValueError, match=r"must be \(n, d\) and floating, n and d >= 1, got"):
        as_rows(wrong)
