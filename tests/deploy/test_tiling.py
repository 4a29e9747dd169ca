"""Tiles cover a picture, overlap as wished, and their maps become one."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from anomalib_federated.deploy.tiling import Tiling, resized, stitch

SIDES = st.integers(1, 40)


@given(SIDES, SIDES, SIDES, SIDES, st.integers(0, 12))
def test_tiles_cover_the_picture_and_overlap(height: int, width: int, tile: int, other: int, overlap: int) -> None:
    assume(overlap < min(tile, other))
    tiles = Tiling(height=tile, width=other, overlap=overlap).tiles(height, width)
    covered = np.zeros((height, width), int)
    for each in tiles:
        part = each.cut(covered)
        assert part.shape == (min(tile, height), min(other, width))
        part += 1
    assert covered.min() >= 1
    lefts = sorted({each.left for each in tiles})
    assert all(b - a <= other - overlap for a, b in pairwise(lefts))
    assert len(lefts) <= 1 + -(-max(0, width - other) // (other - overlap))


@given(st.integers(0, 2**32 - 1), SIDES, SIDES)
def test_cut_and_stitched_is_the_same(seed: int, height: int, width: int) -> None:
    whole = np.random.default_rng(seed).random((height, width), np.float32)
    tiles = Tiling(height=11, width=7, overlap=3).tiles(height, width)
    np.testing.assert_array_equal(stitch([tile.cut(whole) for tile in tiles], tiles, size=whole.shape), whole)


def test_where_tiles_overlap_the_largest_counts() -> None:
    tiles = Tiling(height=3, width=4, overlap=2).tiles(2, 6)
    maps = [np.full((2, 4), value, np.float32) for value in (0.25, 0.75)]
    assert stitch(maps, tiles, size=(2, 6)).tolist() == [[0.25] * 2 + [0.75] * 4] * 2


@given(st.integers(0, 2**32 - 1), SIDES, SIDES, SIDES, SIDES)
def test_resizing_is_torchs(seed: int, height: int, width: int, new_height: int, new_width: int) -> None:
    grid = np.random.default_rng(seed).random((height, width), np.float32)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(grid)[None, None], size=(new_height, new_width), mode="bilinear", align_corners=False
    )
    found = resized(grid, (new_height, new_width))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected[0, 0].numpy(), atol=1e-5)


def test_what_does_not_fit_is_refused() -> None:
    for height, width, overlap in ((0, 4, 0), (4, 4, 4), (4, 4, -1)):
        with pytest.raises(ValueError, match="cannot overlap"):
            Tiling(height=height, width=width, overlap=overlap)
    tiles = Tiling(height=2, width=2).tiles(4, 4)
    with pytest.raises(ValueError, match="3 maps of 4 tiles"):
        stitch([np.zeros((2, 2), np.float32)] * 3, tiles, size=(4, 4))
    with pytest.raises(ValueError, match="resize it first"):
        stitch([np.zeros((1, 2), np.float32)] * 4, tiles, size=(4, 4))
    with pytest.raises(ValueError, match="uncovered"):
        stitch([np.zeros((2, 2), np.float32)] * 3, tiles[:3], size=(4, 4))
