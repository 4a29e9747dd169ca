"""The model: trained by anomalib's Engine, its bank read and replaced, stored and loaded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from anomalib.engine import Engine

from anomalib_federated.bank import BankError, MemoryBank
from anomalib_federated.data import AutoVI
from anomalib_federated.models import FederatedPatchcore

CATEGORIES = ("pipe_staple", "tank_screw")
SETTINGS = {"image_size": (64, 64), "budget": 40, "visualizer": False}
PATCHES = 64  # of one picture: 64 x 64 pixels at stride 8
TRAINING = 7  # pictures of a category of the demo data that are not held out


def build(**settings: object) -> FederatedPatchcore:
    return FederatedPatchcore(**(SETTINGS | settings))


def engine(folder: Path) -> Engine:
    return Engine(
        default_root_dir=folder, accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False
    )


def trained(folder: Path, data: AutoVI, **settings: object) -> FederatedPatchcore:
    model = build(**settings)
    engine(folder).fit(model, datamodule=data)
    return model.eval()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def model(demo_root: Path, folder: Path) -> FederatedPatchcore:
    """Trained once; tests that change a model make their own."""
    return trained(folder, AutoVI(demo_root))


@pytest.fixture(scope="module")
def checkpoint(model: FederatedPatchcore, folder: Path) -> Path:
    (path,) = folder.resolve().rglob("v0/**/*.ckpt")
    return path


@pytest.fixture(scope="module")
def pictures(demo_root: Path) -> dict[str, torch.Tensor]:
    """Test pictures of each category, pixels in 0 .. 1."""
    data = AutoVI(demo_root, eval_batch_size=32, image_size=(64, 64))
    data.setup()
    (batch,) = data.test_dataloader()
    return {
        name: batch.image[[index for index, category in enumerate(batch.category) if category == name]]
        for name in CATEGORIES
    }


def raw(model: FederatedPatchcore, images: torch.Tensor, category: str) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.no_grad():
        result = model.predict_batch(model.pre_processor.transform(images), [category] * len(images))
    return result.pred_score, result.anomaly_map


def test_training_gives_a_bank_and_thresholds_for_every_category(model: FederatedPatchcore) -> None:
    bank = model.bank
    assert bank.categories == CATEGORIES
    assert bank.features.shape == (80, 152)
    assert bank.space == model.space
    for category, contribution in zip(CATEGORIES, bank.contributions, strict=True):
        assert (contribution.category, contribution.site) == (category, "local")
        assert (contribution.images, contribution.patches) == (TRAINING, TRAINING * PATCHES)
        rows = bank.for_category(category)
        assert len(rows) == 40
        assert float(rows.weights.sum()) == TRAINING * PATCHES
        assert bank.covering_radius[category] > 0
    assert set(model.post_processor.thresholds) == set(CATEGORIES)
    assert bank.coresets == dict.fromkeys(CATEGORIES, "k_center")


def test_scores_are_distances_to_the_categorys_rows(
    model: FederatedPatchcore, pictures: dict[str, torch.Tensor]
) -> None:
    images = pictures["tank_screw"][:2]
    plain = build(score="max").eval()
    plain.bank = model.bank
    with torch.no_grad():
        embedding = plain.model(plain.pre_processor.transform(images))
    rows = model.bank.for_category("tank_screw").features.double().numpy()
    patches = embedding.permute(0, 2, 3, 1).reshape(2, PATCHES, 152).double().numpy()
    expected = np.linalg.norm(patches[:, :, None] - rows, axis=3).min(2)
    scores, maps = raw(plain, images, "tank_screw")
    np.testing.assert_allclose(scores, expected.max(1), rtol=1e-4)
    assert maps.shape == (2, 1, 64, 64)
    assert float(maps.max()) <= expected.max() * (1 + 1e-4)


def test_engine_test_reports_the_metrics(model: FederatedPatchcore, demo_root: Path, tmp_path: Path) -> None:
    (metrics,) = engine(tmp_path).test(model, datamodule=AutoVI(demo_root))
    assert set(metrics) == {"image_AUROC", "image_AUPR", "image_F1Score", "pixel_AUSPRO"}
    assert all(0 <= value <= 1 for value in metrics.values())


def test_a_checkpoint_loads_without_unpickling_and_scores_the_same(
    model: FederatedPatchcore, checkpoint: Path, pictures: dict[str, torch.Tensor]
) -> None:
    assert torch.load(checkpoint, weights_only=True)["memory_bank"].dtype == torch.uint8
    loaded = FederatedPatchcore.load_from_checkpoint(checkpoint, weights_only=True).eval()
    assert loaded.bank.to_bytes() == model.bank.to_bytes()
    assert loaded.post_processor.thresholds == model.post_processor.thresholds
    for category, images in pictures.items():
        with torch.no_grad():
            expected, got = model(images, category), loaded(images, category)
        assert torch.equal(got.pred_score, expected.pred_score)
        assert torch.equal(got.anomaly_map, expected.anomaly_map)


def test_a_checkpoint_tests_the_same(
    model: FederatedPatchcore, checkpoint: Path, demo_root: Path, tmp_path: Path
) -> None:
    data = AutoVI(demo_root)
    expected = engine(tmp_path / "a").test(model, datamodule=data)
    assert engine(tmp_path / "b").test(build(), datamodule=data, ckpt_path=checkpoint) == expected


def test_a_checkpoint_whose_bank_is_damaged_is_refused(checkpoint: Path) -> None:
    content = torch.load(checkpoint, weights_only=True)
    content["memory_bank"] = content["memory_bank"][:-100]
    with pytest.raises(BankError, match="checkpoint's bank is not a valid memory bank"):
        build().on_load_checkpoint(content)


def test_a_checkpoint_of_other_settings_is_refused(checkpoint: Path) -> None:
    with pytest.raises(BankError, match="image_size is"):
        FederatedPatchcore.load_from_checkpoint(checkpoint, image_size=(32, 32))


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"image_size": (64, 80)}, "image_size"),
        ({"layers": ["blocks.1", "blocks.4"]}, "layers"),
        ({"layer_scales": [1, 2]}, "layer_scales"),
        ({"keep_aspect_ratio": True}, "keep_aspect_ratio"),
        ({"frame": "part"}, "frame"),
    ],
)
def test_a_bank_of_another_feature_space_is_refused(
    model: FederatedPatchcore, settings: dict[str, object], field: str
) -> None:
    other = build(**settings)
    with pytest.raises(BankError, match=f"not made by this model's settings: .*{field} is "):
        other.bank = model.bank
    with pytest.raises(BankError, match="no memory bank yet"):
        _ = other.bank


def test_without_bank_nothing_is_scored() -> None:
    model = build(post_processor=False)
    with pytest.raises(BankError, match="no memory bank yet: fit it, or set its bank"):
        model(torch.rand(1, 3, 64, 64))
    with pytest.raises(BankError, match="no memory bank yet"):
        model.predict_batch(torch.rand(1, 3, 64, 64), ["tank_screw"])


def test_categories_are_checked(model: FederatedPatchcore) -> None:
    images = torch.rand(1, 3, 64, 64)
    with pytest.raises(BankError, match="no category 'door', only pipe_staple, tank_screw"):
        model(images, "door")
    with pytest.raises(BankError, match="several categories, name one: pipe_staple, tank_screw"):
        model(images)


def test_a_category_is_scored_as_by_a_model_of_its_own(
    model: FederatedPatchcore, demo_root: Path, tmp_path: Path, pictures: dict[str, torch.Tensor]
) -> None:
    for category, images in pictures.items():
        single = trained(tmp_path, AutoVI(demo_root, [category]))
        assert single.bank.digest == model.bank.for_category(category).digest
        alone, together = (each.post_processor.thresholds[category] for each in (single, model))
        assert (alone.image, alone.pixel) == pytest.approx((together.image, together.pixel), rel=1e-4)
        for ours, expected in zip(raw(model, images, category), raw(single, images, category), strict=True):
            torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)


def test_a_mixed_batch_is_scored_picture_by_picture(
    model: FederatedPatchcore, pictures: dict[str, torch.Tensor]
) -> None:
    mixed = torch.stack([pictures[CATEGORIES[index % 2]][index] for index in range(4)])
    categories = [CATEGORIES[index % 2] for index in range(4)]
    with torch.no_grad():
        result = model.predict_batch(model.pre_processor.transform(mixed), categories)
    for index, category in enumerate(categories):
        score, anomaly_map = raw(model, mixed[index : index + 1], category)
        torch.testing.assert_close(result.pred_score[index], score[0], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(result.anomaly_map[index], anomaly_map[0], rtol=1e-4, atol=1e-4)


def test_a_new_bank_gives_new_scores(
    model: FederatedPatchcore, checkpoint: Path, pictures: dict[str, torch.Tensor]
) -> None:
    images, other = pictures["tank_screw"], build()
    other.bank = model.bank
    assert torch.equal(raw(other, images, "tank_screw")[0], raw(model, images, "tank_screw")[0])
    other.bank = replace(model.bank, features=model.bank.features * 3)
    assert not torch.allclose(raw(other, images, "tank_screw")[0], raw(model, images, "tank_screw")[0], rtol=0.1)
    other.bank = model.bank.for_category("tank_screw")
    assert torch.equal(raw(other, images, "tank_screw")[0], raw(model, images, "tank_screw")[0])
    with pytest.raises(BankError, match="no category 'pipe_staple'"):
        raw(other, images, "pipe_staple")


def test_a_bank_file_makes_a_model_ready(
    model: FederatedPatchcore, tmp_path: Path, pictures: dict[str, torch.Tensor]
) -> None:
    loaded = build()
    loaded.bank = MemoryBank.load(model.bank.save(tmp_path / "bank.safetensors"))
    scores = raw(loaded, pictures["pipe_staple"], "pipe_staple")[0]
    assert torch.equal(scores, raw(model, pictures["pipe_staple"], "pipe_staple")[0])


def test_fitting_again_gives_an_equal_bank(model: FederatedPatchcore, demo_root: Path, tmp_path: Path) -> None:
    again = trained(tmp_path, AutoVI(demo_root))
    assert again.bank.digest == model.bank.digest
    assert again.post_processor.thresholds == model.post_processor.thresholds
    engine(tmp_path).fit(again, datamodule=AutoVI(demo_root))
    assert again.bank.digest == model.bank.digest


def test_a_model_of_one_category_predicts_a_plain_folder(demo_root: Path, tmp_path: Path) -> None:
    model = trained(tmp_path, AutoVI(demo_root, ["tank_screw"]))
    found = engine(tmp_path).predict(model, data_path=demo_root / "tank_screw/test/scratch")
    known = engine(tmp_path).predict(model, datamodule=AutoVI(demo_root, ["tank_screw"]))
    expected = {
        path: float(score)
        for batch in known
        for path, score in zip(batch.image_path, batch.pred_score, strict=True)
        if "/scratch/" in path
    }
    got = {str(batch.image_path[0]): float(batch.pred_score[0]) for batch in found}
    assert got == pytest.approx(expected, abs=0.02)
    assert len(got) == 2


def test_another_bank_drops_the_thresholds_of_the_last_one(demo_root: Path, folder: Path) -> None:
    model = trained(folder / "thresholds", AutoVI(demo_root))
    assert set(model.post_processor.thresholds) == set(CATEGORIES)
    model.bank = model.bank.for_category("tank_screw")
    assert model.post_processor.thresholds == {}


def test_pictures_too_small_for_a_map_are_refused(model: FederatedPatchcore) -> None:
    assert model.predict_batch(torch.zeros(1, 3, 17, 40), ["tank_screw"]).anomaly_map.shape == (1, 1, 17, 40)
    with pytest.raises(ValueError, match="16 x 40 pixels is too small"):
        model.predict_batch(torch.zeros(1, 3, 16, 40), ["tank_screw"])
