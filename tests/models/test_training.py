"""Collecting patches batch by batch and selecting the bank, without an Engine."""

from __future__ import annotations

import pytest
import torch
from anomalib.data import ImageBatch

from anomalib_federated.data.batch import InspectionBatch
from anomalib_federated.models import FederatedPatchcore
from anomalib_federated.registry import PluginError

CATEGORIES = ("pipe_staple", "tank_screw")
PATCHES = 64  # of one picture: 64 x 64 pixels at stride 8
PICTURES = torch.rand(7, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def build(**settings: object) -> FederatedPatchcore:
    return FederatedPatchcore(**({"image_size": (64, 64), "budget": 40, "visualizer": False} | settings))


def batch_of(images: torch.Tensor, categories: list[str]) -> InspectionBatch:
    return InspectionBatch(image=images, category=categories)


def test_the_seed_decides_a_random_coreset() -> None:
    banks = []
    for seed in (0, 0, 1):
        model = build(coreset="random", seed=seed)
        model.training_step(batch_of(PICTURES, ["tank_screw"] * 7))
        model.fit()
        banks.append(model.bank.digest)
    assert banks[0] == banks[1] != banks[2]


def test_a_training_picture_that_is_not_finite_is_refused_by_name() -> None:
    images = PICTURES.clone()
    images[3, 1, 20, 20] = float("nan")
    model = build()
    with pytest.raises(ValueError, match="Training picture number 000003 of tank_screw gives NaN or infinite features"):
        model.training_step(batch_of(images, ["tank_screw"] * 7))


def test_pictures_without_category_are_of_one() -> None:
    model = build(coreset="random", post_processor=False)
    model.training_step(ImageBatch(image=PICTURES))
    model.fit()
    assert model.bank.categories == ("default",)
    images = PICTURES[:2]
    assert torch.equal(model(images).pred_score, model(images, "default").pred_score)


@pytest.mark.parametrize(
    ("coreset", "budget", "rows"),
    [
        ("random", 10, 10),
        ("k_center", 0.25, 7 * PATCHES // 4),
        ("random", 10**6, 7 * PATCHES),
        ({"class_path": "random"}, 5, 5),
        ({"class_path": "anomalib_federated_plugins.coreset.random.RandomCoreset", "init_args": {}}, 7, 7),
    ],
)
def test_coreset_and_budget(coreset: str | dict[str, object], budget: int | float, rows: int) -> None:
    model = build(coreset=coreset, budget=budget)
    model.training_step(batch_of(PICTURES, ["tank_screw"] * 7))
    model.fit()
    assert len(model.bank) == rows


def test_a_budget_counts_for_each_category() -> None:
    model = build(coreset="random", budget=9)
    images = PICTURES[:4]
    model.training_step(batch_of(images, [CATEGORIES[0]] * 2 + [CATEGORIES[1]] * 2))
    model.fit()
    assert {name: len(model.bank.for_category(name)) for name in CATEGORIES} == dict.fromkeys(CATEGORIES, 9)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"score": "mean"}, "no image score rule 'mean'"),
        ({"budget": 0}, "coreset budget is 0"),
        ({"budget": 1.5}, r"coreset budget is 1\.5"),
        ({"coreset": "gone"}, "no coreset plugin named 'gone'"),
        ({"coreset": {"class_path": "random", "init_args": {"budget": 6}}}, "gets budget twice"),
        ({"false_alarm_rate": 2}, "false_alarm_rate is 2"),
        ({"layer_scales": [1, 0]}, "layer_scales"),
        ({"layer_scales": [1]}, "layer_scales"),
        ({"image_size": (0, 64)}, "image_size"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises((ValueError, PluginError), match=message):
        build(**settings)


def test_without_training_pictures_there_is_nothing_to_fit() -> None:
    with pytest.raises(ValueError, match="Site 'here' has no training picture"):
        build(site="here").fit()
