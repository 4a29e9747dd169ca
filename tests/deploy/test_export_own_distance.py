"""Banks with places, a projection and a promise, exported: against torch, on odd sizes and any batch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
import torch

from anomalib_federated.bank import MemoryBank, describe
from anomalib_federated.bank.learnt_bank import bank_of_learnt
from anomalib_federated.deploy.export import NormalPictures, export_bundle
from anomalib_federated.deploy.station import Station
from anomalib_federated.models import FederatedPatchcore
from anomalib_federated.models.post_processor import Thresholds
from anomalib_federated.privacy.learnt import Learnt
from anomalib_federated.testing.privacy import example_report

pytestmark = pytest.mark.slow

REPORT = example_report(epsilon=2.0)
SIZES = ((1, 101, 203), (3, 120, 160), (1, 64, 64), (3, 75, 49))
PRECISE = {"INFERENCE_PRECISION_HINT": "f32"}
"""Left alone, OpenVINO computes in bfloat16 where the processor can."""


def pictures(batch: int, height: int, width: int) -> torch.Tensor:
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(batch * height))


def grid_of_places(side: int) -> torch.Tensor:
    """The middles of side x side blocks, so that patches of many sizes of grid are between two of them."""
    middles = (torch.arange(side) + 0.5) / side
    return torch.cartesian_prod(middles, middles)


def learnt_bank(model: FederatedPatchcore) -> MemoryBank:
    """Categories with places, a projection or both, of different widths; rows are patches of pictures."""
    generator = torch.Generator().manual_seed(0)
    with torch.inference_mode():
        patches = model.model(torch.rand(4, 3, 64, 64, generator=generator)).permute(0, 2, 3, 1).flatten(0, 2).clone()

    def rows(count: int) -> torch.Tensor:
        return patches[torch.randperm(len(patches), generator=generator)[:count]]

    def projection(width: int) -> torch.Tensor:
        return torch.randn(model.space.dim, width, generator=generator) / model.space.dim**0.5

    learnt = {
        "both": Learnt(rows=rows(64), pictures=50.0, places=grid_of_places(8), projection=projection(12)),
        "both, narrower": Learnt(rows=rows(9), pictures=50.0, places=grid_of_places(3), projection=projection(2)),
        "places": Learnt(rows=rows(16), pictures=50.0, places=grid_of_places(4)),
        "projection": Learnt(rows=rows(30), pictures=50.0, projection=projection(7)),
    }
    return bank_of_learnt(learnt, space=model.space, method="sums", site="all", privacy={"all": REPORT})


def ready(**settings: object) -> FederatedPatchcore:
    """A detector of these banks whose thresholds lie amid the scores."""
    model = FederatedPatchcore(visualizer=False, evaluator=False, **settings).eval()
    model.bank = learnt_bank(model)
    for category in model.bank.categories:
        with torch.inference_mode():
            found = model.predict_batch(model.pre_processor.transform(pictures(1, 101, 203)), [category])
        model.post_processor.thresholds[category] = Thresholds(
            float(found.pred_score[0]) * 0.9, float(found.anomaly_map.median())
        )
    return model


@pytest.fixture(scope="module")
def model() -> FederatedPatchcore:
    return ready(image_size=None)


@pytest.fixture(scope="module")
def exported(model: FederatedPatchcore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("openvino")
    few = {category: NormalPictures(compared=[pictures(1, 65, 80)[0]]) for category in model.bank.categories}
    return export_bundle(model, root, pictures=few).root


def check_equal(model: FederatedPatchcore, path: Path, category: str, sizes: Sequence[tuple[int, int, int]]) -> None:
    compiled = ov.Core().compile_model(path, "CPU", PRECISE)
    for size in sizes:
        images = pictures(*size)
        with torch.inference_mode():
            expected = model(images, category)
        answer = compiled([images.numpy()])
        np.testing.assert_allclose(answer["pred_score"], expected.pred_score.numpy(), atol=2e-5)
        np.testing.assert_allclose(answer["anomaly_map"], expected.anomaly_map.numpy(), atol=2e-5)
        np.testing.assert_array_equal(answer["pred_label"], expected.pred_label.numpy())
        assert float(expected.anomaly_map.std()) > 1e-3  # otherwise equality would say nothing


@pytest.mark.parametrize("category", ["both", "both, narrower", "places", "projection"])
def test_openvino_gives_torchs_verdicts(model: FederatedPatchcore, exported: Path, category: str) -> None:
    check_equal(model, exported / category / "model.xml", category, SIZES)


def test_onnx_gives_torchs_verdicts(tmp_path: Path) -> None:
    model = ready(image_size=(96, 128))
    thresholds = model.post_processor.thresholds
    model.bank = model.bank.for_category("both")
    model.post_processor.thresholds = {"both": thresholds["both"]}
    # Pictures no larger than the network's: ONNX's antialiasing of larger ones is not torch's, whatever the bank.
    check_equal(model, model.to_onnx(tmp_path), "both", ((1, 64, 64), (3, 75, 49), (2, 96, 128)))


def test_the_manifest_tells_the_promise(model: FederatedPatchcore, exported: Path) -> None:
    manifest = Station(exported / "both").manifest
    assert manifest["privacy"] == describe(model.bank)["privacy"]
    (told,) = manifest["privacy"]
    assert told["sites"] == ["all"]
    assert told["report"] == json.loads(REPORT.to_json())
    assert told["in_words"] == list(REPORT.in_words)


def test_a_rule_that_such_rows_do_not_allow_is_refused(tmp_path: Path) -> None:
    model = ready(image_size=(64, 64))
    model.scorer.image_score.rule = "reweighted"
    with pytest.raises(ValueError, match="image score 'reweighted'"):
        export_bundle(model, tmp_path)
    assert not list(tmp_path.iterdir())
