"""Which patches see a marked part of a picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from anomalib_federated.backbones import Backbone
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
def test_cells_are_those_whose_features_change(extractor: PatchFeatureExtractor) -> None:
    """Some pixels of a part are darkened: the patches that change most must be among the cells."""
    image, transform = slanted_bar(), image_transform(extractor.space)
    rows, columns = slice(56, 64), slice(132, 140)  # towards one end of the bar
    changed, mask = image.clone(), np.zeros(image.shape[1:], dtype=bool)
    changed[:, rows, columns] *= 0.6
    mask[rows, columns] = True
    placement = extractor.place(transform(image[None]))  # of the picture before, so that only the pixels differ
    before, after = (extractor(transform(each[None]), placement)[0] for each in (image, changed))
    apart = (after - before).norm(dim=0)
    cells = cells_of_mask(mask, (apart.shape[0], apart.shape[1]), image=image, extractor=extractor)
    assert 0 < int(cells.sum()) < 0.2 * cells.numel()
    assert bool(cells.flatten()[apart.flatten().topk(5).indices].all())


def slanted_bar() -> torch.Tensor:
    """A bright bar before a dark ground, from the lower left to the upper right, with some grain."""
    row, column = torch.meshgrid(torch.arange(200.0), torch.arange(200.0), indexing="ij")
    along, across = (column - row) / 2**0.5, (column + row - 200) / 2**0.5
    bar = (along.abs() < 80) & (across.abs() < 20 - along / 16)
    grain = torch.rand(200, 200, generator=torch.Generator().manual_seed(0))
    return torch.where(bar, 0.6 + 0.3 * grain, 0.1).expand(3, -1, -1).clone()
