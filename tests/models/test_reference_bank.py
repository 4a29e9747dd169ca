"""The reference of a few pictures, and that it tells defects from good parts."""

import numpy as np
import pytest
import torch

from anomalib_federated.backbones import Backbone
from anomalib_federated.data import AutoVI
from anomalib_federated.data.synthetic_defects import with_defect
from anomalib_federated.models import reference_bank as module
from anomalib_federated.models.image_transform import image_transform
from anomalib_federated.models.patch_features import PatchFeatureExtractor, patch_rows
from anomalib_federated.models.reference_bank import CLEAN, DEFECTS, reference_bank
from anomalib_federated.selection.distances import nearest

CATEGORY = "pipe_staple"


@pytest.fixture(scope="module")
def images(demo_root):
    data = AutoVI(demo_root, [CATEGORY], validation_share=0)
    data.setup()
    return data.train_data


@pytest.fixture(scope="module", params=["picture", "part"])
def extractor(request):
    return PatchFeatureExtractor(Backbone(), image_size=(64, 64), frame=request.param)


@pytest.fixture(scope="module")
def reference(images, extractor):
    return reference_bank(images.sample([0, 1, 2, 3]), extractor, rows=200)


def rows_of(bank, site):
    return bank.features[bank.row_site == bank.sites.index(site)]


def test_it_is_a_bank_of_two_sites(reference, extractor):
    assert reference.sites == (CLEAN, DEFECTS)
    assert reference.categories == (CATEGORY,)
    assert not reference.space.differences(extractor.space)
    clean, defects = reference.contributions
    assert (clean.images, clean.patches, clean.rows) == (4, 4 * 64, 200)
    assert defects.images <= 16
    assert len(rows_of(reference, DEFECTS)) == defects.rows <= 200


def test_defects_are_unlike_clean_patches(reference, images, extractor):
    """Each is farther from all clean patches than 99 of 100 clean ones of one half are from the other half."""
    transform = image_transform(extractor.space)
    with torch.inference_mode():
        clean = [patch_rows(extractor(transform(images[number].image.unsqueeze(0)))) for number in range(4)]
    between = nearest(torch.cat([clean[1], clean[3]]), torch.cat([clean[0], clean[2]]))[0]
    limit = float(np.quantile(between.numpy(), 0.99, method="lower"))
    assert float(nearest(rows_of(reference, DEFECTS), torch.cat(clean))[0].min()) > 0.99 * limit


def test_clean_rows_are_patches_of_the_pictures(reference, images, extractor):
    transform = image_transform(extractor.space)
    with torch.inference_mode():
        clean = torch.cat([patch_rows(extractor(transform(images[n].image.unsqueeze(0)))) for n in range(4)])
    assert float(nearest(rows_of(reference, CLEAN), clean)[0].max()) < 1e-2


def test_covered_patches_are_those_under_the_mask(extractor):
    """A white square on black covers patches that differ from the others; those are the ones that are taken."""
    if extractor.space.frame == "part":
        pytest.skip("a square alone is the part, and moves with it")
    defect = with_defect(np.zeros((64, 64, 3), dtype=np.uint8), "spot", rng=np.random.default_rng(1))
    mask = np.zeros((64, 64), dtype=bool)
    mask[16:32, 24:48] = True
    picture = np.where(mask[..., None], 255, np.zeros_like(defect.picture)).astype(np.uint8)
    square = module.SyntheticDefect(picture=picture, mask=mask, kind="spot")
    image = image_transform(extractor.space)(torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255)
    with torch.inference_mode():
        found = module._covered_patches(image, square, extractor)
        grid = extractor(image)[0].permute(1, 2, 0)
    assert torch.equal(found, grid[2:4, 3:6].flatten(0, 1))


def test_equal_seeds_give_equal_references(images, extractor, reference):
    again = reference_bank(images.sample([0, 1, 2, 3]), extractor, rows=200)
    other = reference_bank(images.sample([0, 1, 2, 3]), extractor, rows=200, seed=1)
    assert again.digest == reference.digest != other.digest


def test_one_picture_or_two_categories_are_refused(images, demo_root, extractor):
    with pytest.raises(ValueError, match="at least 2 pictures of one category, got 1 of pipe_staple"):
        reference_bank(images.sample([0]), extractor)
    both = AutoVI(demo_root, validation_share=0)
    both.setup()
    with pytest.raises(ValueError, match="got 16 of pipe_staple, tank_screw"):
        reference_bank(both.train_data, extractor)


def test_defects_that_do_not_differ_are_told(images, extractor, monkeypatch):
    monkeypatch.setattr(module, "_quantile", lambda values, share: torch.tensor(1e9))
    with pytest.raises(ValueError, match="No patch of 8 synthetic defects differs from the clean ones"):
        reference_bank(images.sample([0, 1]), extractor)
