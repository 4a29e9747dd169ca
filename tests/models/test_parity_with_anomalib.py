"""Same weights, same rows: the same embeddings, scores and maps as anomalib's own PatchCore."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from anomalib.models.image.patchcore.torch_model import PatchcoreModel

from anomalib_federated.bank import MemoryBank
from anomalib_federated.bank.contribution import Contribution
from anomalib_federated.models import FederatedPatchcore
from anomalib_federated.models.patch_features import patch_rows

RESNET = ("resnet18", ["layer2", "layer3"])
LITE = ("tf_efficientnet_lite0", ["blocks.2", "blocks.4"])


@dataclass(frozen=True)
class Pair:
    """Their model and ours."""

    theirs: PatchcoreModel
    ours: FederatedPatchcore


def pictures(count: int, size: tuple[int, int] = (96, 128), seed: int = 1) -> torch.Tensor:
    """Smooth, so that patches of one picture are alike, as in photographs."""
    coarse = torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, size=size, mode="bicubic")


def bank_of(model: FederatedPatchcore, features: torch.Tensor) -> MemoryBank:
    count = len(features)
    return MemoryBank(
        features=features,
        row_category=torch.zeros(count, dtype=torch.int32),
        row_site=torch.zeros(count, dtype=torch.int32),
        weights=torch.ones(count),
        categories=("default",),
        sites=("local",),
        space=model.space,
        contributions=(
            Contribution(
                site="local",
                category="default",
                images=1,
                patches=count,
                rows=count,
                coreset="none",
                covering_radius=0.0,
                mean_distance=0.0,
                passes=1,
                seconds=0.0,
            ),
        ),
        coresets={"default": "none"},
        covering_radius={},
    )


def their_embedding(model: PatchcoreModel, images: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        features = {layer: model.feature_pooler(maps) for layer, maps in model.feature_extractor(images).items()}
        return model.generate_embedding(features)


def build(
    folder: Path, name: str, layers: list[str], *, score: str = "reweighted", neighbors: int = 9, rows: int = 150
) -> Pair:
    torch.manual_seed(0)
    theirs = PatchcoreModel(layers=layers, backbone=name, pre_trained=False, num_neighbors=neighbors).eval()
    network = theirs.feature_extractor.feature_extractor
    weights = None
    if name == RESNET[0]:
        weights = str(folder / "weights.pth")
        torch.save(network.state_dict(), weights)
    ours = FederatedPatchcore(
        name, layers, weights=weights, layer_scales=[1, 1], score=score, num_neighbors=neighbors,
        image_size=None, coreset="random", pre_processor=False, post_processor=False, evaluator=False, visualizer=False,
    )  # fmt: skip
    network.load_state_dict(ours.model.backbone.network.state_dict())
    patches = PatchcoreModel.reshape_embedding(their_embedding(theirs, pictures(4, seed=9)))
    chosen = torch.randperm(len(patches), generator=torch.Generator().manual_seed(2))[:rows]
    theirs.memory_bank = patches[chosen]
    ours.bank = bank_of(ours, patches[chosen])
    return Pair(theirs, ours.eval())


def check_equal(pair: Pair, images: torch.Tensor) -> None:
    with torch.no_grad():
        expected, got = pair.theirs(images), pair.ours(images)
    torch.testing.assert_close(got.pred_score, expected.pred_score, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(got.anomaly_map, expected.anomaly_map, rtol=1e-4, atol=1e-4)
    # Otherwise equality would say nothing.
    assert float(got.anomaly_map.std()) > 1e-2


@pytest.mark.parametrize(("name", "layers"), [RESNET, LITE], ids=["resnet18", "lite0"])
def test_embeddings_are_equal(tmp_path: Path, name: str, layers: list[str]) -> None:
    pair = build(tmp_path, name, layers)
    images = pictures(3)
    with torch.no_grad():
        ours = pair.ours.model(images)
    theirs = their_embedding(pair.theirs, images)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    assert torch.equal(patch_rows(ours), PatchcoreModel.reshape_embedding(ours))


@pytest.mark.parametrize(("name", "layers"), [RESNET, LITE], ids=["resnet18", "lite0"])
@pytest.mark.parametrize(("score", "neighbors"), [("reweighted", 9), ("max", 1)])
def test_scores_and_maps_are_equal(tmp_path: Path, name: str, layers: list[str], score: str, neighbors: int) -> None:
    pair = build(tmp_path, name, layers, score=score, neighbors=neighbors)
    for batch in (1, 3):
        check_equal(pair, pictures(batch))


def test_a_bank_smaller_than_the_neighbourhood_is_equal(tmp_path: Path) -> None:
    check_equal(build(tmp_path, *RESNET, rows=4), pictures(3))


def test_pictures_whose_sides_the_stride_does_not_divide_are_equal(tmp_path: Path) -> None:
    check_equal(build(tmp_path, *RESNET), pictures(2, size=(75, 101)))
