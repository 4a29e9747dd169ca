"""The datamodule: who is in which split, what a batch knows, and that anomalib's own Engine runs it."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from anomalib.data import AnomalibDataModule
from anomalib.engine import Engine
from PIL import Image
from torchvision.transforms.v2 import Compose, RandomHorizontalFlip, Resize

from anomalib_federated.data import AutoVI
from anomalib_federated.data.batch import InspectionBatch
from anomalib_federated.data.dataset import InspectionDataset
from anomalib_federated.data.layout import LayoutError
from anomalib_federated.models import FederatedPatchcore

CATEGORIES = ["pipe_staple", "tank_screw"]


def save_picture(path: Path, height: int = 8, width: int = 8, *, orientation: int | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    Image.fromarray(np.full((height, width, 3), 90, dtype=np.uint8)).save(path, exif=exif)
    return path


def plain_category(root: Path, name: str, count: int) -> Path:
    for index in range(count):
        save_picture(root / name / f"train/good/{index:03d}.png")
    save_picture(root / name / "test/good/000.png")
    return root


def ready(root: Path, categories: list[str] | None = None, **settings: object) -> AutoVI:
    datamodule = AutoVI(root, categories, **settings)
    datamodule.setup()
    return datamodule


def names(dataset: InspectionDataset, category: str | None = None) -> set[str]:
    samples = dataset.samples
    return set(samples["name"] if category is None else samples.loc[samples["category"] == category, "name"])


def files(root: Path, pattern: str) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.glob(pattern)}


def test_it_is_a_datamodule_of_anomalib(demo_root: Path) -> None:
    datamodule = ready(demo_root)
    assert isinstance(datamodule, AnomalibDataModule)
    assert datamodule.name == "AutoVI"
    assert datamodule.task == "classification"  # of the training pictures, which have no mask
    assert datamodule.test_data.task == "segmentation"
    assert datamodule.test_data.has_normal
    assert datamodule.test_data.has_anomalous


def test_several_categories_make_one_datamodule(demo_root: Path) -> None:
    every = AutoVI(demo_root)
    assert every.categories == CATEGORIES
    assert every.category == "pipe_staple-tank_screw"
    single = ready(demo_root, ["tank_screw"])
    assert single.category == "tank_screw"
    assert names(single.test_data) == files(demo_root, "tank_screw/test/*/*.png")


def test_splits_are_disjoint_and_test_stays_test(demo_root: Path) -> None:
    datamodule = ready(demo_root, validation_share=0.25)
    train, val, test = (names(data) for data in (datamodule.train_data, datamodule.val_data, datamodule.test_data))
    assert not train & val
    assert train | val == files(demo_root, "*/train/good/*.png")
    assert test == files(demo_root, "*/test/*/*.png")
    for category in CATEGORIES:
        assert len(names(datamodule.train_data, category)) == 6
        assert len(names(datamodule.val_data, category)) == 2


def test_validation_does_not_depend_on_other_categories_or_their_order(demo_root: Path) -> None:
    both = names(ready(demo_root).val_data, "tank_screw")
    assert names(ready(demo_root, ["tank_screw"]).val_data) == both
    assert names(ready(demo_root, CATEGORIES[::-1]).val_data, "tank_screw") == both


def test_validation_is_decided_by_the_seed(tmp_path: Path) -> None:
    root = plain_category(tmp_path, "screw", 40)
    chosen = [names(ready(root, seed=seed).val_data) for seed in (0, 0, 1, 2)]
    assert chosen[0] == chosen[1]
    assert len({frozenset(value) for value in chosen}) == 3


def test_two_categories_do_not_hold_out_the_same_positions(tmp_path: Path) -> None:
    for name in ("a", "b"):
        plain_category(tmp_path, name, 40)
    val = ready(tmp_path).val_data
    assert {Path(name).name for name in names(val, "a")} != {Path(name).name for name in names(val, "b")}


@pytest.mark.parametrize(
    ("count", "share", "held_out"), [(2, 0.01, 1), (2, 0.99, 1), (10, 0.1, 1), (10, 0.35, 4), (5, 0.99, 4), (3, 0, 0)]
)
def test_size_of_the_validation_set(tmp_path: Path, count: int, share: float, held_out: int) -> None:
    datamodule = ready(plain_category(tmp_path, "screw", count), validation_share=share)
    assert (len(datamodule.train_data), len(datamodule.val_data)) == (count - held_out, held_out)


def test_one_training_picture_is_not_enough_for_thresholds(tmp_path: Path) -> None:
    root = plain_category(tmp_path, "screw", 1)
    with pytest.raises(LayoutError, match=r"'screw' has one training picture; it needs two.*validation_share: 0"):
        AutoVI(root).setup()
    assert len(ready(root, validation_share=0).train_data) == 1


def test_a_batch_knows_category_type_size_and_every_defect(demo_root: Path) -> None:
    datamodule = ready(demo_root, eval_batch_size=3)
    seen = set()
    for batch in datamodule.test_dataloader():
        assert isinstance(batch, InspectionBatch)
        for position, path in enumerate(batch.image_path):
            category, _, kind, name = Path(path).relative_to(demo_root).parts
            seen.add((category, kind, name))
            assert (batch.category[position], batch.defect_type[position]) == (category, kind)
            assert bool(batch.gt_label[position]) == (kind != "good")
            pixels = np.asarray(Image.open(path))
            assert batch.native_size[position] == pixels.shape[:2]
            np.testing.assert_array_equal((batch.image[position] * 255).round().permute(1, 2, 0).numpy(), pixels)
            masks = sorted((demo_root / category / "ground_truth" / kind / Path(name).stem).glob("*.png"))
            painted = [np.asarray(Image.open(mask)).max(2) > 0 for mask in masks]
            assert len(batch.defects[position]) == len(painted) == (kind != "good")
            for defect, expected in zip(batch.defects[position], painted, strict=True):
                assert defect.name == kind
                np.testing.assert_array_equal(defect.mask, expected)
            union = np.logical_or.reduce([np.zeros(pixels.shape[:2], dtype=bool), *painted])
            np.testing.assert_array_equal(batch.gt_mask[position].numpy(), union)
    assert len(seen) == 14


def test_all_channels_of_a_picture_are_kept(tmp_path: Path) -> None:
    root = plain_category(tmp_path, "screw", 2)
    save_picture(root / "screw/test/multiple/007.png")
    areas = [(slice(0, 2), slice(0, 4)), (slice(1, 3), slice(2, 8)), (slice(6, 8), slice(0, 1))]
    for number, area in enumerate(areas):
        pixels = np.zeros((8, 8), dtype=np.uint8)
        pixels[area] = 255
        path = root / f"screw/ground_truth/multiple/007/{number:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    item = next(item for item in ready(root).test_data if item.defect_type == "multiple")
    assert [defect.area for defect in item.defects] == [8, 12, 2]
    assert int(item.gt_mask.sum()) == 8 + 12 + 2 - 2


def test_without_ground_truth_defects_are_unknown_not_absent(tmp_path: Path) -> None:
    root = plain_category(tmp_path, "screw", 2)
    save_picture(root / "screw/test/scratch/001.png")
    datamodule = ready(root)
    assert datamodule.test_data.task == "classification"
    batch = next(iter(datamodule.test_dataloader()))
    assert batch.defect_type == ["good", "scratch"]
    assert batch.defects is None
    assert batch.gt_mask is None
    assert [item.defects for item in datamodule.test_data] == [(), None]


def test_pictures_are_grouped_by_size(tmp_path: Path) -> None:
    for index, (height, width) in enumerate([(8, 6), (6, 8), (8, 6), (8, 6), (6, 8), (8, 6)]):
        save_picture(tmp_path / f"screw/train/good/{index}.png", height, width)
    # Stored lying, shown upright: its size as read is 8 x 6.
    save_picture(tmp_path / "screw/train/good/6.png", 6, 8, orientation=6)
    datamodule = ready(tmp_path, train_batch_size=3, validation_share=0)
    got = [
        (batch.native_size, [Path(path).stem for path in batch.image_path]) for batch in datamodule.train_dataloader()
    ]
    tall, wide = (8, 6), (6, 8)
    assert got == [([tall] * 3, ["0", "2", "3"]), ([tall] * 2, ["5", "6"]), ([wide] * 2, ["1", "4"])]
    assert len(datamodule.train_dataloader()) == 3


def test_image_size_gives_every_picture_one_size(demo_root: Path) -> None:
    datamodule = ready(demo_root, image_size=(40, 56), train_batch_size=32, eval_batch_size=32)
    for loader in (datamodule.train_dataloader(), datamodule.val_dataloader(), datamodule.test_dataloader()):
        (batch,) = loader
        assert batch.image.shape[1:] == (3, 40, 56)
        assert set(batch.native_size) == {(128, 128), (240, 320)}
    assert batch.gt_mask.shape[1:] == (40, 56)
    assert {defect.mask.shape for defects in batch.defects for defect in defects} == {(128, 128), (240, 320)}


def test_augmentations_reach_picture_and_mask(demo_root: Path) -> None:
    flip = Compose([RandomHorizontalFlip(p=1), Resize([128, 128])])
    plain, flipped = ready(demo_root, ["pipe_staple"]).test_data, ready(demo_root, ["pipe_staple"], augmentations=flip)
    before, after = plain[4], flipped.test_data[4]
    assert int(before.gt_mask.sum()) > 0
    torch.testing.assert_close(after.image, before.image.flip(-1))
    assert torch.equal(after.gt_mask, before.gt_mask.flip(-1))
    np.testing.assert_array_equal(after.defects[0].mask, before.defects[0].mask)


def test_statistics(demo_root: Path) -> None:
    table = AutoVI(demo_root, ["tank_screw"]).statistics()
    assert [tuple(row) for row in table.itertuples(index=False)] == [
        ("tank_screw", "test", "good", "good", 3, 0),
        ("tank_screw", "test", "missing", "logical", 2, 2),
        ("tank_screw", "test", "scratch", "", 2, 2),
        ("tank_screw", "train", "good", "good", 7, 0),
        ("tank_screw", "validation", "good", "good", 1, 0),
    ]


def test_statistics_count_channels_not_files(tmp_path: Path) -> None:
    root = plain_category(tmp_path, "screw", 2)
    save_picture(root / "screw/test/operator/1.png")
    for name in ("0000.png", "0001.png", "notes.txt", ".DS_Store"):
        save_picture(root / "screw/ground_truth/operator/1/0000.png").with_name(name).touch()
    rows = {row.label: (row.group, row.channels) for row in AutoVI(root).statistics().itertuples()}
    assert rows == {"good": ("good", 0), "operator": ("structural", 2)}


@pytest.mark.parametrize("share", [-0.1, 1, 1.5, float("nan")])
def test_a_validation_share_out_of_range_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="validation_share is"):
        AutoVI("anywhere", validation_share=share)


def test_settings_that_contradict_each_other_are_refused(demo_root: Path) -> None:
    with pytest.raises(ValueError, match="either image_size or augmentations"):
        AutoVI(demo_root, image_size=(8, 8), augmentations=Resize([8, 8]))
    for wrong in ([], ["tank_screw", "tank_screw"]):
        with pytest.raises(LayoutError, match="each category once and at least one"):
            AutoVI(demo_root, wrong).setup()
    with pytest.raises(LayoutError, match="no category 'door'"):
        AutoVI(demo_root, ["door"]).setup()


def test_a_broken_defects_config_is_refused_by_name(tmp_path: Path) -> None:
    root = plain_category(tmp_path, "screw", 2)
    (root / "screw/defects_config.json").write_text("[]")
    with pytest.raises(ValueError, match=r"screw/defects_config\.json: the defects config has no entry"):
        AutoVI(root).setup()


def test_a_part_of_a_data_set_reads_as_the_whole(demo_root: Path) -> None:
    data = ready(demo_root).test_data
    part = data.of_category("tank_screw")
    assert names(part) == names(data, "tank_screw")
    again = data.sample([9, 2])
    assert [item.image_path for item in again] == [data[2].image_path, data[9].image_path]
    assert torch.equal(again[1].image, data[9].image)


def test_the_models_resize_happens_as_pictures_are_read(demo_root: Path) -> None:
    datamodule = AutoVI(demo_root, train_batch_size=32)
    model = FederatedPatchcore(image_size=(48, 64), visualizer=False)
    datamodule.trainer = SimpleNamespace(model=model)
    datamodule.setup()
    (batch,) = datamodule.train_dataloader()
    assert batch.image.shape == (14, 3, 48, 64)


@pytest.mark.parametrize("settings", [{"image_size": (64, 64)}, {"image_size": (64, 64), "keep_aspect_ratio": True}])
def test_it_runs_inside_anomalibs_engine(demo_root: Path, tmp_path: Path, settings: dict[str, object]) -> None:
    model = FederatedPatchcore(budget=20, coreset="random", evaluator=False, visualizer=False, **settings)
    engine = Engine(default_root_dir=tmp_path, accelerator="cpu", logger=False, enable_progress_bar=False)
    engine.fit(model, datamodule=AutoVI(demo_root))
    assert set(model.post_processor.thresholds) == set(CATEGORIES)
    # Lightning wraps the batch sampler for prediction.
    batches = engine.predict(model, datamodule=AutoVI(demo_root, eval_batch_size=4))
    paths = [path for batch in batches for path in batch.image_path]
    assert {Path(path).relative_to(demo_root).as_posix() for path in paths} == files(demo_root, "*/test/*/*.png")
    assert all(bool(((batch.pred_score > 0) & (batch.pred_score < 1)).all()) for batch in batches)


def test_one_name_instead_of_a_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"a list of names, such as \['screw'\]"):
        AutoVI(tmp_path, "screw")


def test_a_damaged_picture_is_named(demo_root: Path, tmp_path: Path) -> None:
    shutil.copytree(demo_root / "tank_screw", tmp_path / "tank_screw")
    picture = min((tmp_path / "tank_screw" / "train" / "good").iterdir())
    picture.write_bytes(picture.read_bytes()[:600])
    datamodule = AutoVI(tmp_path, validation_share=0)
    datamodule.setup()
    with pytest.raises(ValueError, match=f"{picture.name} cannot be read"):
        list(datamodule.train_dataloader())
