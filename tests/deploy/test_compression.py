"""Smaller banks: what pruning and projecting promise, against brute force."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from anomalib_federated.data import AutoVI
from anomalib_federated.deploy.compression import CompressionError, _staying, orthogonal, pca, prune
from anomalib_federated.evaluation.experiments.training import train_centralised
from anomalib_federated.evaluation.measuring.calibrate import calibrate
from anomalib_federated.models import FederatedPatchcore, detector_of
from anomalib_federated.testing import example_bank

ROUNDING = 2e-3
"""Of the distance of a patch that is a row itself: the root of a squared distance that is off by 1e-6."""


@pytest.fixture(scope="module")
def datamodule(demo_root) -> AutoVI:
    datamodule = AutoVI(demo_root)
    datamodule.setup()
    return datamodule


@pytest.fixture(scope="module")
def model(datamodule: AutoVI) -> FederatedPatchcore:
    model = FederatedPatchcore(budget=150, image_size=(96, 96), visualizer=False)
    model.bank = train_centralised(model, datamodule)
    calibrate(model, datamodule.val_data)
    return model.eval()


@pytest.fixture(scope="module")
def pictures(datamodule: AutoVI) -> dict[str, list[torch.Tensor]]:
    return {
        name: [item.image for item in map(datamodule.train_data.of_category(name).__getitem__, range(3))]
        for name in datamodule.categories
    }


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.floats(0.01, 2.0))
def test_no_distance_grows_by_more_than_allowed(seed: int, count: int, most: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    patches, rows = (torch.randn(n, 2, generator=generator) for n in (15, count))
    distances, owners = torch.cdist(patches, rows).sort(1)
    stays = _staying(distances, owners, count, most)
    after = torch.cdist(patches, rows[stays]).amin(1)
    assert bool((after <= distances[:, 0] + most + 1e-5).all())
    unused = set(range(count)) - set(owners[:, 0].tolist())
    assert all(stays[row] for row in unused)


def test_pruning_keeps_the_scores_of_its_pictures(
    model: FederatedPatchcore, pictures: dict[str, list[torch.Tensor]]
) -> None:
    pruned = prune(model, pictures, tolerance=0.2)
    assert sum(pruned.dropped.values()) == len(model.bank) - len(pruned.bank) > 5
    smaller = detector_of(pruned.bank)
    smaller.post_processor.thresholds = model.post_processor.thresholds
    for category, some in pictures.items():
        threshold = model.post_processor.thresholds[category].image
        for picture in some:
            prepared = model.pre_processor.transform(picture[None])
            before, after = (each.predict_batch(prepared, [category]) for each in (model, smaller))
            grown = (after.anomaly_map - before.anomaly_map).detach()
            assert float(grown.max()) <= 0.2 * threshold + ROUNDING
            assert float(grown.min()) >= -ROUNDING
            assert -ROUNDING <= float(after.pred_score - before.pred_score) <= 0.2 * threshold + ROUNDING
    again = prune(model, pictures, tolerance=0.2)
    assert again.bank.digest == pruned.bank.digest


def test_pca_keeps_what_lies_in_its_directions() -> None:
    bank = example_bank(rows=40, dim=8)
    generator = torch.Generator().manual_seed(0)
    flat = torch.randn(40, 3, generator=generator) @ torch.randn(3, 8, generator=generator) + 5
    projection = pca(replace(bank, features=flat, covering_radius={}), width=3).projections["screw"]
    whole, projected = flat.double(), (flat @ projection).double()
    torch.testing.assert_close(torch.cdist(projected, projected), torch.cdist(whole, whole), atol=1e-4, rtol=1e-4)


def test_a_random_subspace_keeps_distances_on_average() -> None:
    bank = example_bank(rows=200, dim=64)
    projection = orthogonal(bank, width=16, seed=1).projections["screw"]
    torch.testing.assert_close(projection.T @ projection, 4 * torch.eye(16), atol=1e-4, rtol=0)
    features = torch.randn(200, 64)
    ratio = (
        torch.cdist(features @ projection, features @ projection).pow(2).sum()
        / torch.cdist(features, features).pow(2).sum()
    )
    assert float(ratio) == pytest.approx(1, abs=0.1)
    assert torch.equal(orthogonal(bank, width=16, seed=1).projections["screw"], projection)


def test_what_cannot_be_is_refused(model: FederatedPatchcore, pictures: dict[str, list[torch.Tensor]]) -> None:
    bank = example_bank(rows=10, dim=8)
    for width in (0, 8):
        with pytest.raises(CompressionError, match="give 1 to 7"):
            pca(bank, width=width)
    with pytest.raises(CompressionError, match="has a projection already"):
        orthogonal(pca(bank, width=3), width=2)
    with pytest.raises(CompressionError, match="tolerance of pruning is 1"):
        prune(model, pictures, tolerance=1)
    with pytest.raises(CompressionError, match="needs normal pictures of category 'pipe_staple'"):
        prune(model, {}, tolerance=0.1)
