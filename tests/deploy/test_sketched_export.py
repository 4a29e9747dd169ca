"""Exports with many rows, which search in two stages, against torch, which compares every patch with every row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from anomalib_federated.data import AutoVI
from anomalib_federated.deploy.export import ExportSettings, NormalPictures, export_bundle
from anomalib_federated.deploy.runtimes import Runtime, openvino_runtime, torch_file_runtime
from anomalib_federated.evaluation.experiments.training import train_centralised
from anomalib_federated.evaluation.measuring.calibrate import calibrate, calibrated_as_exported
from anomalib_federated.models import FederatedPatchcore
from anomalib_federated.models.two_stage_search import FEWEST_ROWS

pytestmark = pytest.mark.slow

CATEGORY = "tank_screw"


@pytest.fixture(scope="module")
def datamodule(demo_root: Path) -> AutoVI:
    datamodule = AutoVI(demo_root, [CATEGORY])
    datamodule.setup()
    return datamodule


@pytest.fixture(scope="module")
def model(datamodule: AutoVI) -> FederatedPatchcore:
    model = FederatedPatchcore(budget=FEWEST_ROWS + 200, image_size=(192, 192), visualizer=False)
    model.bank = train_centralised(model, datamodule)
    calibrate(model, datamodule.val_data)
    return model.eval()


@pytest.fixture(scope="module")
def pictures(datamodule: AutoVI) -> list[Tensor]:
    return [datamodule.test_data[number].image for number in range(len(datamodule.test_data))]


def runtime_of(model: FederatedPatchcore, root: Path, datamodule: AutoVI, **settings: object) -> Runtime:
    train = [datamodule.train_data[number].image for number in range(len(datamodule.train_data))]
    normal = NormalPictures(compared=[datamodule.val_data[0].image], calibration=train)
    bundle = export_bundle(
        calibrated_as_exported(model, datamodule.val_data),
        root,
        pictures={CATEGORY: normal},
        settings=ExportSettings(**settings),
        reference=model,
    )
    if settings.get("precision") != "int8":  # whose rounding may move a picture that sets a threshold across it
        assert bundle.manifest["categories"][CATEGORY]["score_change"]["verdict_flips"] == 0
    path = bundle.model_path(CATEGORY)
    return torch_file_runtime(path) if path.suffix == ".pt" else openvino_runtime(path)


@pytest.mark.parametrize(
    "settings",
    [{}, {"runtime": "onnx"}, {"runtime": "torch"}, {"precision": "fp16"}, {"precision": "int8", "tolerance": 0.2}],
    ids=str,
)
def test_scores_change_by_less_than_one_percent_of_their_range(
    model: FederatedPatchcore,
    datamodule: AutoVI,
    pictures: list[Tensor],
    tmp_path: Path,
    settings: dict[str, object],
) -> None:
    runtime = runtime_of(model, tmp_path / "bundle", datamodule, **settings)
    # An int8 network moves scores on its own account.
    allowed = 0.05 if "tolerance" in settings else 0.01
    with torch.inference_mode():
        expected = [model(picture[None], CATEGORY) for picture in pictures]
    found = [runtime(picture[None]) for picture in pictures]
    scores = np.array([float(each.pred_score) for each in expected])
    change = np.abs(scores - [float(each["pred_score"][0]) for each in found]).max()
    assert change < allowed * np.ptp(scores)
    if settings.get("precision") != "int8":
        assert [bool(each["pred_label"][0]) for each in found] == [bool(each.pred_label) for each in expected]
        for exact, searched in zip(expected, found, strict=True):
            difference = searched["anomaly_map"] - exact.anomaly_map.numpy()
            assert difference.min() > -2e-3, "distances are never too small"
            assert difference.mean() < 0.01


def test_thresholds_are_right_for_the_search_of_the_export(
    model: FederatedPatchcore, datamodule: AutoVI, tmp_path: Path
) -> None:
    normal = [datamodule.val_data[number].image for number in range(len(datamodule.val_data))]
    exported = calibrated_as_exported(model, datamodule.val_data)
    bundle = export_bundle(
        exported, tmp_path / "b", pictures={CATEGORY: NormalPictures(compared=normal)}, reference=model
    )
    found = [openvino_runtime(bundle.model_path(CATEGORY))(picture[None]) for picture in normal]
    # So few pictures that the thresholds lie above all of them: as closely in the graph as they did in torch.
    assert 0.49 < max(float(each["pred_score"][0]) for each in found) < 0.5
    assert 0.49 < max(float(each["anomaly_map"].max()) for each in found) < 0.5


def test_any_batch_and_size(model: FederatedPatchcore, datamodule: AutoVI, tmp_path: Path) -> None:
    runtime = runtime_of(model, tmp_path / "bundle", datamodule)
    for batch, height, width in ((1, 101, 203), (8, 75, 90), (2, 240, 320)):
        images = torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(batch))
        together = runtime(images)
        assert together["anomaly_map"].shape == (batch, 1, 192, 192)
        alone = np.concatenate([runtime(image[None])["pred_score"] for image in images])
        np.testing.assert_allclose(together["pred_score"], alone, atol=1e-4)
