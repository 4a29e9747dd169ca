"""Defects that are put on pictures: where they are, and that they can be seen."""

import numpy as np
import pytest

from anomalib_federated.data.synthetic_defects import KINDS, LEAST_CHANGE, with_defect


def picture(what, shape=(60, 90)):
    if what == "noise":
        return np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    return np.full((*shape, 3), {"black": 0, "grey": 127, "white": 255}[what], dtype=np.uint8)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", ["black", "grey", "white", "noise"])
def test_a_defect_can_be_seen_and_is_where_its_mask_says(kind, what):
    before = picture(what)
    for seed in range(5):
        defect = with_defect(before, kind, rng=np.random.default_rng(seed))
        assert defect.picture.shape == before.shape
        assert defect.picture.dtype == np.uint8
        changed = np.abs(defect.picture.astype(int) - before).max(2)
        assert not changed[~defect.mask].any()
        visible = 255 * LEAST_CHANGE - 1
        assert (changed[defect.mask] >= visible).all()
        assert 5 <= defect.mask.sum() < defect.mask.size / 2
        assert defect.kind == kind


@pytest.mark.parametrize("kind", KINDS)
def test_equal_chance_gives_equal_defects_and_the_picture_stays(kind):
    before = picture("noise")
    copy = before.copy()
    first, second, other = (with_defect(before, kind, rng=np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert (first.picture == second.picture).all()
    assert (first.mask == second.mask).all()
    assert (first.picture != other.picture).any()
    assert (before == copy).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(16, 16), (17, 200), (300, 40)])
def test_pictures_of_any_shape_will_do(kind, shape):
    for seed in range(3):
        defect = with_defect(picture("noise", shape), kind, rng=np.random.default_rng(seed))
        assert defect.picture.shape == (*shape, 3)
        assert defect.mask.any()


def test_defects_lie_in_different_places():
    rng = np.random.default_rng(0)
    masks = [with_defect(picture("grey"), "spot", rng=rng).mask for _ in range(20)]
    assert np.any(masks, axis=0).mean() > 0.3


def test_impossible_wishes_are_refused():
    with pytest.raises(ValueError, match="no synthetic defect 'rust'; give one of cut_paste, scar, texture, spot"):
        with_defect(picture("grey"), "rust", rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match="A picture of 15 x 90 pixels is too small"):
        with_defect(picture("grey", (15, 90)), "spot", rng=np.random.default_rng(0))
