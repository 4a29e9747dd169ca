"""Regions of a mask, against labelling of the mask at the picture's size by scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from anomalib_federated.deploy.regions import Region, find_regions

masks = hnp.arrays(np.bool_, st.tuples(st.integers(1, 14), st.integers(1, 14)))


def by_scipy(mask: np.ndarray, size: tuple[int, int]) -> list[tuple[tuple[int, int, int, int], int]]:
    # The centre of pixel p is at (p + 1/2) / pixels of the picture.
    row, column = (
        (2 * np.arange(pixels) + 1) * cells // (2 * pixels) for cells, pixels in zip(mask.shape, size, strict=True)
    )
    labels, count = ndimage.label(mask[np.ix_(row, column)], structure=np.ones((3, 3)))
    found = []
    for number, (y, x) in enumerate(ndimage.find_objects(labels), start=1):
        box = (x.start, y.start, x.stop - x.start, y.stop - y.start)
        found.append((box, int((labels == number).sum())))
    assert len(found) == count
    return found


@given(masks, st.integers(0, 30), st.integers(0, 30))
def test_regions_are_those_of_the_stretched_mask(mask: np.ndarray, more_rows: int, more_columns: int) -> None:
    size = (mask.shape[0] + more_rows, mask.shape[1] + more_columns)
    found = find_regions(mask, size)
    assert sorted((region.box, region.area) for region in found) == sorted(by_scipy(mask, size))
    assert [region.area for region in found] == sorted((region.area for region in found), reverse=True)


@given(masks, st.integers(1, 14), st.integers(1, 14))
def test_regions_of_a_picture_smaller_than_its_mask_stay_inside_it(mask: np.ndarray, height: int, width: int) -> None:
    found = find_regions(mask, (height, width))
    assert len(found) == ndimage.label(mask, structure=np.ones((3, 3)))[1]
    for region in found:
        x, y, w, h = region.box
        assert min(w, h, region.area) >= 1
        assert 0 <= x <= x + w <= width
        assert 0 <= y <= y + h <= height


@pytest.mark.parametrize("density", [0.05, 0.4, 0.6, 0.95])
def test_large_masks(density: float) -> None:
    mask = np.random.default_rng(0).random((224, 288)) < density
    expected = by_scipy(mask, (750, 1000))
    assert sorted((region.box, region.area) for region in find_regions(mask, (750, 1000))) == sorted(expected)


def test_a_spiral_is_one_region() -> None:
    mask = np.zeros((41, 41), bool)
    for ring in range(0, 20, 2):
        mask[ring, ring : 41 - ring] = mask[40 - ring, ring : 41 - ring] = True
        mask[ring : 41 - ring, ring] = mask[ring : 41 - ring, 40 - ring] = True
        mask[ring + 1, ring] = False
        mask[ring + 2, ring + 1] = ring < 18
    assert sorted((r.box, r.area) for r in find_regions(mask, (41, 41))) == sorted(by_scipy(mask, (41, 41)))


def test_nothing_and_everything() -> None:
    assert find_regions(np.zeros((5, 4), bool), (10, 8)) == ()
    assert find_regions(np.ones((5, 4), bool), (100, 80)) == (Region((0, 0, 80, 100), 8000),)
