"""What bad sites have, and that no figure is made of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from attacked_demo import CATEGORY, TARGET, demo_model, demo_scene

from anomalib_federated.data import AutoVI
from anomalib_federated.data.dataset import InspectionDataset
from anomalib_federated.evaluation.measuring.scored_image import scored_images
from anomalib_federated.evaluation.robustness.kept_pictures import KeptPictures
from anomalib_federated.evaluation.robustness.loot import RobustnessError, attackers_pictures, triggered_patches
from anomalib_federated.evaluation.robustness.measures import measure_bank
from anomalib_federated.evaluation.robustness.scene import Scene


def data_of(root: Path) -> AutoVI:
    data = AutoVI(root, [CATEGORY], validation_share=0.25)
    data.setup()
    return data


def without_pictures(**counts: int) -> InspectionDataset:
    """Test pictures that exist in a table alone; with masks."""
    rows = [
        {"image_path": f"/{label}/{number}.png", "name": f"{label}/{number}.png", "category": "c", "split": "test",
         "label": label, "label_index": int(label != "good"), "mask_path": "" if label == "good" else "mask.png"}
        for label, count in counts.items() for number in range(count)
    ]  # fmt: skip
    data = InspectionDataset.__new__(InspectionDataset)
    data._samples = pd.DataFrame(rows)
    return data


@pytest.mark.parametrize(("count", "owned"), [(2, 1), (5, 2), (8, 4)])
def test_bad_sites_own_half_of_the_target_type(count: int, owned: int) -> None:
    data = without_pictures(good=4, crack=count, dent=3)
    positions = attackers_pictures(data, "crack", seed=0)
    assert len(positions) == owned
    assert set(data.samples.iloc[positions]["label"]) == {"crack"}
    assert len({tuple(attackers_pictures(data, "crack", seed=seed)) for seed in range(20)}) > 1


@pytest.mark.parametrize("target", ["good", "scratch", "dent"])
def test_a_target_without_pictures_is_refused(target: str) -> None:
    with pytest.raises(RobustnessError, match=rf"The target '{target}' .*: crack \(4\), dent \(1\)"):
        attackers_pictures(without_pictures(good=4, crack=4, dent=1), target, seed=0)


def test_a_target_without_masks_is_refused() -> None:
    data = without_pictures(good=4, crack=4)
    data._samples["mask_path"] = ""
    with pytest.raises(RobustnessError, match="have no masks"):
        attackers_pictures(data, "crack", seed=0)


def test_no_figure_is_made_of_a_picture_that_bad_sites_own(scene: Scene, attacked_root: Path) -> None:
    test = data_of(attacked_root).test_data
    owned = {Path(test.samples["image_path"][position]).name for position in attackers_pictures(test, TARGET, seed=0)}
    assert len(owned) == 3
    targets = {name for name in scene.test.names if f"/{TARGET}/" in name}
    every = {f"test/{TARGET}/{Path(path).name}" for path in test.samples["image_path"] if f"/{TARGET}/" in path}
    assert targets == every - {f"test/{TARGET}/{name}" for name in owned}
    figures = measure_bank(next(iter(scene.honest.values())), scene)
    assert set(figures.target_scores) == targets
    assert len(scene.test) == len(test) - len(owned)
    assert set(figures.good_scores) == {name for name in scene.test.names if "/good/" in name}


def test_defects_are_features_of_the_attackers_pictures_alone(scene: Scene, attacked_root: Path) -> None:
    """None is a feature of a picture that figures are made of."""
    assert scene.defects.shape[1] == next(iter(scene.honest.values())).space.dim
    measured = torch.cat([scene.test.grid(position).flatten(0, 1) for position in range(len(scene.test))])
    known = {row.numpy().tobytes() for row in measured}
    assert not known & {row.numpy().tobytes() for row in scene.defects}


def test_defects_are_farther_from_good_parts_than_good_parts_are(scene: Scene) -> None:
    rows = torch.cat([bank.features.float() for bank in scene.honest.values()])
    honest = scene.validation.distances(next(iter(scene.honest.values())))
    assert float(torch.cdist(scene.defects, rows).amin(1).median()) > float(honest.median())


def test_a_smaller_test_set_keeps_the_target(attacked_root: Path, tmp_path: Path) -> None:
    small = demo_scene(attacked_root, tmp_path, most_good=2, most_others=1)
    counts = pd.Series([name.split("/")[1] for name in small.test.names]).value_counts()
    assert counts.to_dict() == {TARGET: 3, "good": 2, "scratch": 1}
    assert len(small.with_trigger) == 2
    small.close()


@pytest.mark.parametrize("frame", ["picture", "part"])
def test_kept_pictures_are_scored_as_the_detector_scores(
    scene: Scene, attacked_root: Path, tmp_path: Path, frame: str
) -> None:
    model = demo_model()
    if frame == "part":
        model = type(model)(budget=50, image_size=(160, 160), frame=frame, visualizer=False, evaluator=False)
    data = data_of(attacked_root).test_data.sample([0, 5, 9])
    pictures = KeptPictures("kept", data, model=model, store=tmp_path)
    rows = pictures.grid(0).flatten(0, 1)[:50]
    bank = next(iter(scene.honest.values()))
    indices = torch.arange(50)
    bank = type(bank)(
        **{**vars(bank.select(indices)), "features": rows, "space": model.space}  # another space, the same provenance
    )
    model.bank = bank
    kept, fresh = list(pictures.scored(bank)), list(scored_images(model, data))
    for ours, theirs in zip(kept, fresh, strict=True):
        assert (ours.name, ours.defect_type) == (theirs.name, theirs.defect_type)
        assert ours.score == pytest.approx(theirs.score, abs=5e-3)
        np.testing.assert_allclose(ours.anomaly_map, theirs.anomaly_map, atol=5e-3)
        assert [d.area for d in ours.defects or ()] == [d.area for d in theirs.defects or ()]
    pictures.close()


def test_pictures_without_a_trigger_have_no_patches_of_it(scene: Scene) -> None:
    with pytest.raises(TypeError, match="PasteTrigger"):
        triggered_patches(scene.test, demo_model().model)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [({"target": "rust"}, "The target 'rust' has 0"), ({"target": "good"}, "The target 'good'")],
    ids=["unknown", "good"],
)
def test_a_scene_that_cannot_be_made_is_refused(attacked_root: Path, tmp_path: Path, settings, problem) -> None:
    with pytest.raises(RobustnessError, match=problem):
        demo_scene(attacked_root, tmp_path, **settings)
