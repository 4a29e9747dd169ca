"""Every runtime and precision against torch, for batches and odd sizes; int8 nowhere but in the network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
import torch

from anomalib_federated.data import AutoVI
from anomalib_federated.deploy import precision
from anomalib_federated.deploy.bundle import Bundle
from anomalib_federated.deploy.export import ExportError, ExportSettings, NormalPictures, export_bundle
from anomalib_federated.deploy.precision import PrecisionError, rounded
from anomalib_federated.deploy.runtimes import openvino_runtime, torch_file_runtime
from anomalib_federated.deploy.station import Station
from anomalib_federated.evaluation.experiments.training import train_centralised
from anomalib_federated.evaluation.measuring.calibrate import calibrate
from anomalib_federated.models import FederatedPatchcore

CATEGORY = "tank_screw"
SIZES = ((1, 101, 203), (8, 75, 90), (2, 240, 320))


@pytest.fixture(scope="module")
def datamodule(demo_root: Path) -> AutoVI:
    datamodule = AutoVI(demo_root, [CATEGORY])
    datamodule.setup()
    return datamodule


@pytest.fixture(scope="module")
def model(datamodule: AutoVI) -> FederatedPatchcore:
    model = FederatedPatchcore(budget=300, image_size=(160, 160), visualizer=False)
    model.bank = train_centralised(model, datamodule)
    calibrate(model, datamodule.val_data)
    return model.eval()


@pytest.fixture(scope="module")
def normal(datamodule: AutoVI) -> dict[str, NormalPictures]:
    train = [datamodule.train_data[index].image for index in range(len(datamodule.train_data))]
    return {CATEGORY: NormalPictures(compared=[datamodule.val_data[0].image], calibration=train)}


def exported(
    model: FederatedPatchcore, root: Path, normal: dict[str, NormalPictures], **settings: object
) -> tuple[Bundle, Path]:
    bundle = export_bundle(model, root, pictures=normal, settings=ExportSettings(**settings))
    return bundle, bundle.model_path(CATEGORY)


def differences(
    model: FederatedPatchcore, path: Path, sizes: Sequence[tuple[int, int, int]] = SIZES
) -> tuple[float, float]:
    """Largest difference from torch of a score and of a map's value."""
    runtime = torch_file_runtime(path) if path.suffix == ".pt" else openvino_runtime(path)
    scores, maps = [], []
    for batch, height, width in sizes:
        images = torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(batch))
        with torch.inference_mode():
            expected = model(images, CATEGORY)
        answers = runtime(images)
        assert answers["pred_score"].shape == (batch,)
        scores.append(float(np.abs(answers["pred_score"] - expected.pred_score.numpy()).max()))
        maps.append(float(np.abs(answers["anomaly_map"] - expected.anomaly_map.numpy()).max()))
    return max(scores), max(maps)


@pytest.mark.parametrize("runtime", ["openvino", "onnx", "torch"])
def test_every_runtime_is_torch(
    model: FederatedPatchcore, normal: dict[str, NormalPictures], tmp_path: Path, runtime: str
) -> None:
    _, path = exported(model, tmp_path / "b", normal, runtime=runtime)
    assert max(differences(model, path)) < 1e-5


@pytest.mark.slow
def test_float16_halves_the_files_and_moves_scores_a_little(
    model: FederatedPatchcore, normal: dict[str, NormalPictures], tmp_path: Path
) -> None:
    whole, _ = exported(model, tmp_path / "fp32", normal)
    half, path = exported(model, tmp_path / "fp16", normal, precision="fp16")
    sizes = [(bundle.root / CATEGORY / "model.bin").stat().st_size for bundle in (whole, half)]
    assert sizes[1] < 0.55 * sizes[0]
    largest = max(differences(model, path))
    assert 1e-7 < largest < 2e-3
    graph = ov.Core().read_model(path)
    thresholds = [node.data for node in graph.get_ops() if node.get_type_name() == "Constant" and node.data.size == 1]
    raw = model.post_processor.thresholds[CATEGORY].image
    assert any(value.dtype == np.float32 and float(value.reshape(())) == np.float32(raw) for value in thresholds)


@pytest.mark.slow
def test_int8_is_in_the_network_alone(
    model: FederatedPatchcore, normal: dict[str, NormalPictures], tmp_path: Path
) -> None:
    bundle, path = exported(model, tmp_path / "b", normal, precision="int8", tolerance=1.0)
    graph = ov.Core().read_model(path)
    quantised = {
        target.get_node().get_friendly_name()
        for node in graph.get_ops()
        if node.get_type_name() == "FakeQuantize"
        for target in node.output(0).get_target_inputs()
    }
    assert len(quantised) > 20
    assert not {name for name in quantised if name.startswith(("__module.scorer", "__module.transform"))}
    assert max(differences(model, path)) < 0.1
    changed = bundle.manifest["categories"][CATEGORY]["score_change"]
    assert changed["pictures"] == 1
    assert 0 < changed["largest"] < 0.1
    verdict = Station(path.parent).inspect(np.zeros((90, 120, 3), np.uint8))
    assert 0 < verdict.score < 1


@pytest.mark.slow
def test_rows_are_stored_as_wished(
    model: FederatedPatchcore, normal: dict[str, NormalPictures], tmp_path: Path
) -> None:
    rows = model.category_rows(CATEGORY).rows
    bytes_of = {}
    for kind in ("float32", "float16", "int8"):
        _, path = exported(model, tmp_path / kind, normal, rows=kind)
        bytes_of[kind] = path.with_suffix(".bin").stat().st_size
        assert max(differences(model, path)) < {"float32": 1e-5, "float16": 1e-3, "int8": 1e-2}[kind]
    assert bytes_of["float32"] - bytes_of["float16"] == pytest.approx(2 * rows.numel(), abs=200)
    assert bytes_of["float32"] - bytes_of["int8"] == pytest.approx(3 * rows.numel() - 4 * len(rows), abs=200)
    assert float((rounded(rows, "int8") - rows).abs().max()) <= float(rows.abs().max()) / 253


@pytest.mark.slow
@pytest.mark.parametrize("size", [(400, 400), (100, 134)], ids=str)
def test_a_fixed_size_leaves_the_batch_open(model: FederatedPatchcore, tmp_path: Path, size: tuple[int, int]) -> None:
    _, path = exported(model, tmp_path / "b", {}, input_size=size)
    shape = ov.Core().read_model(path).inputs[0].get_partial_shape()
    assert str(shape) == f"[?,3,{size[0]},{size[1]}]"
    assert max(differences(model, path, [(batch, *size) for batch in (1, 8)])) < 1e-5


@pytest.mark.slow
def test_what_cannot_be_is_refused(
    model: FederatedPatchcore, normal: dict[str, NormalPictures], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(PrecisionError, match="needs normal pictures"):
        exported(model, tmp_path / "b", {}, precision="int8")
    with pytest.raises(ExportError, match=r"would change the score .* more than 1e-09"):
        exported(model, tmp_path / "b", normal, precision="fp16", tolerance=1e-9)
    with pytest.raises(ExportError, match="input_size is 32 x 32"):
        exported(model, tmp_path / "b", normal, input_size=(32, 32))
    for settings, told in (
        ({"precision": "fp8"}, "precision is 'fp8'"),
        ({"runtime": "onnx", "precision": "int8"}, "fp32 and float32 rows alone"),
        ({"input_size": (0, 3)}, "input_size"),
        ({"tolerance": 0.0}, "tolerance"),
    ):
        with pytest.raises(ExportError, match=told):
            ExportSettings(**settings)
    monkeypatch.setattr(precision, "find_spec", lambda name: None)
    with pytest.raises(
        PrecisionError, match=r"needs NNCF; install it with: pip install 'anomalib-federated\[export\]'"
    ):
        exported(model, tmp_path / "b", normal, precision="int8")
    assert not list(tmp_path.iterdir())
