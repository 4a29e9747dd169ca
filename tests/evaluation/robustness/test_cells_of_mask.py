"""Which patches see a marked part of a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from anomalib_federated.backbones import Backbone
from anomalib_federated.data import AutoVI
from anomalib_federated.evaluation.robustness.cells_of_mask import cells_of_mask
from anomalib_federated.models.image_transform import image_transform
from anomalib_federated.models.patch_features import PatchFeatureExtractor


@pytest.fixture(scope="module", params=["picture", "part"])
def extractor(request: pytest.FixtureRequest) -> PatchFeatureExtractor:
    return PatchFeatureExtractor(Backbone(), image_size=(160, 160), frame=request.param)


@pytest.mark.parametrize(
    ("pixel", "rows", "columns"),
    [((0, 0), (0, 2), (0, 2)), ((35, 79), (2, 5), (6, 8)), ((79, 10), (6, 8), (0, 3))],
    ids=["corner", "edge", "bottom"],
)
def test_a_pixel_is_seen_by_its_cell_and_those_around(pixel, rows, columns) -> None:
    extractor = PatchFeatureExtractor(Backbone(), image_size=(64, 64))
    mask = np.zeros((80, 80), dtype=bool)
    mask[pixel] = True
    expected = torch.zeros(8, 8, dtype=torch.bool)
    expected[slice(*rows), slice(*columns)] = True
    assert torch.equal(cells_of_mask(mask, (8, 8), image=torch.zeros(3, 80, 80), extractor=extractor), expected)


@torch.no_grad()
def test_cells_are_those_whose_features_change(attacked_root: Path, extractor: PatchFeatureExtractor) -> None:
    """Some pixels of a part are darkened: the patches that change most must be among the cells."""
    data = AutoVI(attacked_root, ["pipe_staple"])
    data.setup()
    image, transform = data.train_data[0].image, image_transform(extractor.space)
    height, width = image.shape[1:]
    rows, columns = slice(height // 2 - 4, height // 2 + 4), slice(width // 2, width // 2 + 8)
    changed, mask = image.clone(), np.zeros((height, width), dtype=bool)
    changed[:, rows, columns] *= 0.6
    mask[rows, columns] = True
    placement = extractor.place(transform(image[None]))  # of the picture before, so that only the pixels differ
    before, after = (extractor(transform(each[None]), placement)[0] for each in (image, changed))
    apart = (after - before).norm(dim=0)
    cells = cells_of_mask(mask, (apart.shape[0], apart.shape[1]), image=image, extractor=extractor)
    assert 0 < int(cells.sum()) < 0.2 * cells.numel()
    assert bool(cells.flatten()[apart.flatten().topk(5).indices].all())
