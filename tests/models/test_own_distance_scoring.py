"""Rows with places and a projection, against scorers that loop, and against scipy's distances."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lightning import Trainer
from scipy.spatial.distance import cdist
from torch.nn.functional import interpolate

from anomalib_federated.bank import MemoryBank
from anomalib_federated.bank.learnt_bank import bank_of_learnt
from anomalib_federated.models import FederatedPatchcore, nearest_rows
from anomalib_federated.models.category_rows import CategoryRows
from anomalib_federated.models.image_score import ImageScore
from anomalib_federated.models.nearest_rows import TIE, nearest_rows_in_place
from anomalib_federated.models.patch_scorer import PatchScorer
from anomalib_federated.privacy.learnt import Learnt
from anomalib_federated.testing import example_bank

IMAGE = torch.Size((40, 56))


def bank_of(features, *, places=None, projection=None):
    bank = example_bank(rows=len(features), dim=features.shape[1])
    return replace(
        bank, features=features, row_place=places, projections={} if projection is None else {"screw": projection}
    )


def looped(embedding, bank):
    """Distances and rows of each cell, in float64, one cell at a time."""
    batch, _, height, width = embedding.shape
    rows = bank.features.double().numpy()
    (projection,) = bank.projections.values() or [torch.eye(rows.shape[1])]
    projection = projection.double().numpy()
    distances, owners = np.empty((batch, height, width)), np.empty((batch, height, width), dtype=int)
    for i in range(height):
        for j in range(width):
            competing = range(len(rows))
            if bank.row_place is not None:
                cell = Fraction(2 * i + 1, 2 * height), Fraction(2 * j + 1, 2 * width)
                away = [
                    sum((Fraction(a) - b) ** 2 for a, b in zip(p, cell, strict=True)) for p in bank.row_place.tolist()
                ]
                competing = [row for row in competing if away[row] <= min(away) + Fraction(TIE)]
            for b in range(batch):
                patch = embedding[b, :, i, j].double().numpy()
                found = {row: np.linalg.norm((patch - rows[row]) @ projection) for row in competing}
                owners[b, i, j] = min(found, key=found.__getitem__)
                distances[b, i, j] = found[owners[b, i, j]]
    return distances, owners


@st.composite
def cases(draw):
    """An embedding and a bank; places on a grid of their own, so that cells are often between two of them."""
    batch, height, width = draw(st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 6)))
    dim, rows = draw(st.integers(1, 5)), draw(st.integers(1, 9))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    projection = torch.randn(dim, draw(st.integers(1, dim)), generator=generator) if draw(st.booleans()) else None
    places = None
    if draw(st.booleans()):
        of = draw(st.integers(1, 4))
        places = torch.randint(0, of + 1, (rows, 2), generator=generator) / of
    features = torch.randn(rows, dim, generator=generator) + draw(st.sampled_from([0.0, 5.0]))
    bank = bank_of(features, places=places, projection=projection)
    return torch.randn(batch, dim, height, width, generator=generator), bank


@settings(max_examples=60, deadline=None)
@given(cases())
def test_every_cell_is_as_far_as_a_loop_says(case):
    embedding, bank = case
    expected, _ = looped(embedding, bank)
    scorer = PatchScorer(ImageScore("max"))
    scores, maps = scorer(embedding, CategoryRows.of(bank), IMAGE)
    np.testing.assert_allclose(scores.numpy(), expected.max((1, 2)), rtol=1e-4, atol=1e-3)
    wanted = scorer.smooth(interpolate(torch.from_numpy(expected).float()[:, None], size=IMAGE))
    torch.testing.assert_close(maps, wanted, rtol=1e-4, atol=1e-3)


@settings(max_examples=40, deadline=None)
@given(cases(), st.sampled_from([1, 7, 1 << 20]))
def test_cells_in_chunks_find_the_same_rows(case, chunk):
    embedding, bank = case
    if bank.row_place is None:
        bank = replace(bank, row_place=torch.rand(len(bank), 2, generator=torch.Generator().manual_seed(0)))
    rows, (batch, _, height, width) = CategoryRows.of(bank), embedding.shape
    queries = rows.compared(embedding.permute(0, 2, 3, 1).flatten(0, 2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nearest_rows, "CHUNK_ELEMENTS", chunk)
        distances, owners = nearest_rows_in_place(queries, rows.rows, rows.places, (height, width))
    expected, theirs = looped(embedding, bank)
    np.testing.assert_allclose(distances.reshape(batch, height, width).numpy(), expected, rtol=1e-4, atol=1e-3)
    assert (distances.shape, owners.dtype) == ((batch * height * width,), torch.int64)
    differing = owners.numpy() != theirs.flatten()
    # Another row only where two are as far, as with equal rows.
    other = (queries[differing] - rows.rows[owners[differing]]).norm(dim=1)
    np.testing.assert_allclose(other.numpy(), expected.flatten()[differing], rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("size", [2, 4, 8, 20, 28, 40, 56])
def test_a_cell_between_places_is_compared_with_the_rows_of_all(size):
    # Eight places on a line; a cell on the border of two of them.
    places = torch.stack([torch.full((8,), 0.5), (torch.arange(8) + 0.5) / 8], 1)
    rows = torch.arange(8)[:, None].float() * 10
    for column in range(size):
        at = Fraction(2 * column + 1, 2 * size) * 8
        expected = {int(at) - 1, int(at)} if at.denominator == 1 else {int(at)}
        for row in range(8):
            queries = torch.full((size, 1), 10.0 * row)
            distances, owners = nearest_rows_in_place(queries, rows, places, (1, size))
            assert (float(distances[column]) < 1e-2) == (row in expected)
            assert int(owners[column]) in expected


def test_a_projection_that_whitens_gives_mahalanobis_distances():
    rng = np.random.default_rng(0)
    sample = rng.normal(size=(500, 6)) @ rng.normal(size=(6, 6)) + 20
    covariance = np.cov(sample.T)
    values, vectors = np.linalg.eigh(covariance)
    projection = torch.from_numpy(vectors / values**0.5).float()
    rows = torch.from_numpy(sample[:7]).float()
    embedding = torch.from_numpy(rng.normal(size=(2, 6, 3, 4)) * 5 + 20).float()
    scores, _ = PatchScorer(ImageScore("max"))(embedding, CategoryRows.of(bank_of(rows, projection=projection)), IMAGE)
    patches = embedding.permute(0, 2, 3, 1).flatten(0, 2).double().numpy()
    far = cdist(patches, sample[:7], "mahalanobis", VI=np.linalg.inv(covariance)).min(1).reshape(2, 12)
    np.testing.assert_allclose(scores.numpy(), far.max(1), rtol=1e-4)


def test_distances_far_from_the_origin_lose_few_digits():
    generator = torch.Generator().manual_seed(3)
    rows, projection = torch.randn(5, 4, generator=generator) + 1e4, torch.eye(4)[:, :3].contiguous() * 100
    embedding = torch.randn(1, 4, 2, 2, generator=generator) + 1e4
    bank = bank_of(rows, projection=projection, places=torch.rand(5, 2, generator=generator))
    scores, _ = PatchScorer(ImageScore("max"))(embedding, CategoryRows.of(bank), IMAGE)
    np.testing.assert_allclose(scores.numpy(), looped(embedding, bank)[0].max((1, 2)), rtol=1e-3)


def test_reweighting_is_done_after_the_projection_but_not_with_places():
    generator = torch.Generator().manual_seed(0)
    rows, projection = torch.randn(20, 6, generator=generator), torch.randn(6, 3, generator=generator)
    embedding = torch.randn(2, 6, 3, 5, generator=generator)
    scorer = PatchScorer(ImageScore("reweighted", neighbors=4))
    scores, _ = scorer(embedding, CategoryRows.of(bank_of(rows, projection=projection)), IMAGE)
    small = torch.einsum("bdij,dk->bkij", embedding, projection)
    expected, _ = scorer(small, CategoryRows.of(bank_of(rows @ projection)), IMAGE)
    torch.testing.assert_close(scores, expected, rtol=1e-4, atol=1e-4)
    placed = bank_of(rows, places=torch.rand(20, 2, generator=generator))
    with pytest.raises(ValueError, match=r"'reweighted' .* choose max, smoothed_max or top_fraction"):
        scorer(embedding, CategoryRows.of(placed), IMAGE)


# --- in the detector ------------------------------------------------------------------------------------------------


def detector() -> FederatedPatchcore:
    return FederatedPatchcore(image_size=(64, 64), visualizer=False, score="max").eval()


def bank_for(model: FederatedPatchcore) -> MemoryBank:
    """One category with places and a projection, and one without."""
    generator = torch.Generator().manual_seed(0)
    dim = model.space.dim
    learnt = {
        "screw": Learnt(
            rows=torch.randn(16, dim, generator=generator),
            pictures=20.0,
            places=torch.rand(16, 2, generator=generator),
            projection=torch.randn(dim, 5, generator=generator),
        ),
        "nut": Learnt(rows=torch.randn(9, dim, generator=generator), pictures=20.0),
    }
    return bank_of_learnt(learnt, space=model.space, method="sums", site="all plants", privacy={})


def test_each_picture_is_scored_by_its_own_categorys_distances():
    model = detector()
    model.bank = bank_for(model)
    images = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        embedding, found = model.model(images), model.predict_batch(images, ["screw", "nut", "screw"])
    for position, category in enumerate(["screw", "nut", "screw"]):
        expected, _ = looped(embedding[position : position + 1], model.bank.for_category(category))
        assert float(found.pred_score[position]) == pytest.approx(expected.max(), rel=1e-3)


def test_a_checkpoint_keeps_places_and_projections(tmp_path: Path):
    model = detector()
    model.bank = bank_for(model)
    trainer = Trainer(accelerator="cpu", default_root_dir=tmp_path, logger=False, enable_model_summary=False)
    trainer.strategy.connect(model)
    trainer.save_checkpoint(tmp_path / "model.ckpt")
    loaded = FederatedPatchcore.load_from_checkpoint(tmp_path / "model.ckpt", weights_only=True).eval()
    assert loaded.bank.digest == model.bank.digest
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        one, other = (each.predict_batch(images, ["screw", "nut"]) for each in (model, loaded))
    assert torch.equal(one.pred_score, other.pred_score)
    assert torch.equal(one.anomaly_map, other.anomaly_map)
