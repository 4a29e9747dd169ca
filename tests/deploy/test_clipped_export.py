"""A clip of patch distances is part of the detector: in its graphs, its checkpoint, its bundle and its questions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from flwr.app import ConfigRecord
from lightning import Trainer

from anomalib_federated.bank import MemoryBank
from anomalib_federated.cli.main import main
from anomalib_federated.data import AutoVI
from anomalib_federated.deploy.export import ExportSettings, export_bundle
from anomalib_federated.deploy.runtimes import openvino_runtime, torch_file_runtime
from anomalib_federated.evaluation.experiments.training import train_centralised
from anomalib_federated.evaluation.measuring.calibrate import calibrate
from anomalib_federated.federation.scoring import scorer_of
from anomalib_federated.messages import MessageError
from anomalib_federated.models import FederatedPatchcore, detector_of

CATEGORY = "tank_screw"
SETTINGS = {"score": "top_fraction"}
SIZE = (101, 120)


@pytest.fixture(scope="module")
def datamodule(demo_root: Path) -> AutoVI:
    datamodule = AutoVI(demo_root, [CATEGORY])
    datamodule.setup()
    return datamodule


@pytest.fixture(scope="module")
def bank(datamodule: AutoVI) -> MemoryBank:
    return train_centralised(FederatedPatchcore(budget=50, image_size=(96, 96), visualizer=False), datamodule)


@pytest.fixture(scope="module")
def clip(bank: MemoryBank, datamodule: AutoVI) -> float:
    """A little above the threshold, so that defects lie beyond it."""
    model = detector_of(bank, **SETTINGS)
    calibrate(model, datamodule.val_data)
    return 1.05 * model.post_processor.thresholds[CATEGORY].image


@pytest.fixture(scope="module")
def model(bank: MemoryBank, datamodule: AutoVI, clip: float) -> FederatedPatchcore:
    model = detector_of(bank, **SETTINGS, score_clip=clip)
    calibrate(model, datamodule.val_data)
    return model


def raw(model: FederatedPatchcore, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.inference_mode():
        found = model.predict_batch(model.pre_processor.transform(pictures), [CATEGORY] * len(pictures))
    return found.pred_score, found.anomaly_map


@pytest.mark.parametrize("runtime", ["openvino", "onnx", "torch"])
def test_every_export_clips_as_torch_does(model: FederatedPatchcore, tmp_path: Path, runtime: str) -> None:
    bundle = export_bundle(model, tmp_path / "bundle", settings=ExportSettings(runtime=runtime, input_size=SIZE))
    assert bundle.manifest["score_clip"] == model.scorer.image_score.clip
    path = bundle.model_path(CATEGORY)
    run = torch_file_runtime(path) if path.suffix == ".pt" else openvino_runtime(path)
    pictures = torch.rand(2, 3, *SIZE, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = model(pictures, CATEGORY)
    found = run(pictures)
    np.testing.assert_allclose(found["pred_score"], expected.pred_score.numpy(), atol=1e-5)
    np.testing.assert_allclose(found["anomaly_map"], expected.anomaly_map.numpy(), atol=1e-5)


def test_no_score_and_no_pixel_lies_beyond_the_clip(
    model: FederatedPatchcore, bank: MemoryBank, datamodule: AutoVI, clip: float
) -> None:
    pictures = torch.rand(1, 3, *SIZE, generator=torch.Generator().manual_seed(1))
    free, bound = raw(detector_of(bank, **SETTINGS), pictures), raw(model, pictures)
    for unclipped, clipped in zip(free, bound, strict=True):
        assert float(unclipped.max()) > clip * 1.2
        assert float(clipped.max()) <= clip * (1 + 1e-6)
    normal = datamodule.val_data[0].image[None]
    assert float(raw(detector_of(bank, **SETTINGS), normal)[0]) == pytest.approx(float(raw(model, normal)[0]), rel=0.05)


def test_a_checkpoint_keeps_the_clip(model: FederatedPatchcore, tmp_path: Path) -> None:
    trainer = Trainer(accelerator="cpu", logger=False, default_root_dir=tmp_path)
    trainer.strategy.connect(model)
    trainer.save_checkpoint(tmp_path / "model.ckpt")
    loaded = FederatedPatchcore.load_from_checkpoint(tmp_path / "model.ckpt", weights_only=True)
    assert loaded.scorer.image_score.words == model.scorer.image_score.words


def test_a_clip_below_the_threshold_is_refused(bank: MemoryBank, datamodule: AutoVI, clip: float) -> None:
    idle = detector_of(bank, **SETTINGS, score_clip=clip / 2)
    with pytest.raises(ValueError, match=f"threshold from normal pictures of '{CATEGORY}' is .*give a larger clip"):
        calibrate(idle, datamodule.val_data)


def test_thresholds_of_another_clip_are_refused(
    model: FederatedPatchcore, bank: MemoryBank, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export_bundle(model, tmp_path / "bundle", settings=ExportSettings(runtime="torch"))
    file = bank.save(tmp_path / "bank.safetensors")
    arguments = ["export", "--bank", str(file), "--thresholds", str(tmp_path / "bundle"), "--format", "torch"]
    arguments += ["--score", "top_fraction"]
    assert main([*arguments, "--output", str(tmp_path / "again")]) == 1
    assert "give the same --score_clip" in capsys.readouterr().err
    clip = repr(model.scorer.image_score.clip)
    assert main([*arguments, "--output", str(tmp_path / "again"), "--score_clip", clip]) == 0


def test_sites_are_asked_to_score_with_the_clip() -> None:
    asked = ConfigRecord({"score": "max", "num_neighbors": 9, "site_quorum": 1, "score_clip": 1.5})
    assert scorer_of(asked, source="the server").image_score.clip == 1.5
    for rule, clip in (("max", -1.0), ("max", float("nan")), ("max", 1), ("reweighted", 1.5)):
        config = ConfigRecord({"score": rule, "num_neighbors": 9, "site_quorum": 1, "score_clip": clip})
        with pytest.raises(MessageError, match="'score_clip' of the message from the server"):
            scorer_of(config, source="the server")
