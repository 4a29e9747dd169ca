"""The exported graph against torch and against anomalib's own inferencer, on real processes and pictures."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
import torch
from anomalib.deploy import OpenVINOInferencer

from anomalib_federated.bank import MemoryBank
from anomalib_federated.data import AutoVI
from anomalib_federated.deploy import export
from anomalib_federated.deploy.bundle import read_bundle
from anomalib_federated.deploy.export import ExportError, export_bundle
from anomalib_federated.deploy.station import Station, read_image
from anomalib_federated.evaluation.experiments.training import train_centralised
from anomalib_federated.evaluation.measuring.calibrate import calibrate
from anomalib_federated.models import FederatedPatchcore


@pytest.fixture(scope="module")
def datamodule(demo_root: Path) -> AutoVI:
    datamodule = AutoVI(demo_root)
    datamodule.setup()
    return datamodule


@pytest.fixture(scope="module")
def screws(demo_root: Path) -> AutoVI:
    """One category, where a second shows nothing more."""
    datamodule = AutoVI(demo_root, ["tank_screw"])
    datamodule.setup()
    return datamodule


def trained(datamodule: AutoVI, **settings: object) -> FederatedPatchcore:
    model = FederatedPatchcore(**{"budget": 100, "image_size": (128, 128), "visualizer": False} | settings)
    model.bank = train_centralised(model, datamodule)
    calibrate(model, datamodule.val_data)
    return model.eval()


@pytest.fixture(scope="module")
def model(datamodule: AutoVI) -> FederatedPatchcore:
    return trained(datamodule)


@pytest.fixture(scope="module")
def exported(model: FederatedPatchcore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("openvino")
    return export_bundle(model, root / "bundle").root


def test_the_station_gives_torchs_verdict_on_every_test_picture(
    model: FederatedPatchcore, exported: Path, datamodule: AutoVI
) -> None:
    for category in datamodule.categories:
        station = Station(exported / category)
        for path in datamodule.test_data.of_category(category).samples["image_path"]:
            pixels = read_image(Path(path))
            with torch.inference_mode():
                expected = model(torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255, category)
            verdict = station.inspect(pixels)
            assert verdict.anomalous == bool(expected.pred_label)
            assert verdict.score == pytest.approx(float(expected.pred_score), abs=1e-5)
            np.testing.assert_allclose(verdict.anomaly_map, expected.anomaly_map[0, 0].numpy(), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"score": "max"},
        {"score": "top_fraction"},
        {"score": "reweighted"},
        {"keep_aspect_ratio": True},
        {"image_size": None},
        {"image_size": (96, 160), "layer_scales": [1.0, 1.0]},
    ],
    ids=str,
)
def test_every_option_exports_for_any_batch_and_size(
    screws: AutoVI, tmp_path: Path, settings: dict[str, object]
) -> None:
    model = trained(screws, **settings)
    export_bundle(model, tmp_path)
    # Left alone, OpenVINO computes in bfloat16 where the processor can, and scores shift in the third digit.
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = ov.Core().compile_model(tmp_path / "tank_screw" / "model.xml", "CPU", settings)
    generator = torch.Generator().manual_seed(1)
    for batch, height, width in ((1, 101, 203), (3, 240, 320)):
        images = torch.rand(batch, 3, height, width, generator=generator)
        with torch.inference_mode():
            expected = model(images, "tank_screw")
        answer = compiled([images.numpy()])
        np.testing.assert_allclose(answer["pred_score"], expected.pred_score.numpy(), atol=1e-5)
        np.testing.assert_allclose(answer["anomaly_map"], expected.anomaly_map.numpy(), atol=1e-5)
        np.testing.assert_array_equal(answer["pred_label"], expected.pred_label.numpy())


def test_parts_are_turned_in_the_graph_as_in_torch(screws: AutoVI, tmp_path: Path) -> None:
    model = trained(screws, frame="part", image_size=(64, 128))
    export_bundle(model, tmp_path)
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = ov.Core().compile_model(tmp_path / "tank_screw" / "model.xml", "CPU", settings)
    for batch, height, width in ((1, 160, 210), (3, 240, 200)):
        images = torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(3)) / 50
        images[..., 60:80, 40:150] += 0.9  # a part with a heavy end, off the middle
        images[..., 45:95, 130:150] += 0.9
        with torch.inference_mode():
            expected = model(images, "tank_screw")
            assert not torch.equal(model.model.place(images).affine[0], torch.eye(2, 3))
        answer = compiled([images.numpy()])
        np.testing.assert_allclose(answer["pred_score"], expected.pred_score.numpy(), atol=1e-5)
        np.testing.assert_allclose(answer["anomaly_map"], expected.anomaly_map.numpy(), atol=1e-4)
    graph = ov.Core().read_model(tmp_path / "tank_screw" / "model.xml")
    graph.reshape([1, 3, -1, -1])
    resized = [node.input(0).get_partial_shape() for node in graph.get_ops() if node.get_type_name() == "Interpolate"]
    assert resized
    assert all(shape.is_static for shape in resized), "OpenVINO plans its own antialiasing for 0.7 s at each new size"
    with pytest.raises(ValueError, match="part's frame cannot be exported to ONNX"):
        model.to_onnx(tmp_path)


def test_anomalibs_own_inferencer_runs_it(
    exported: Path, model: FederatedPatchcore, datamodule: AutoVI, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the inferencer writes a cache where it stands
    path = datamodule.test_data.of_category("tank_screw").samples["image_path"][0]
    inferencer = OpenVINOInferencer(
        exported / "tank_screw" / "model.xml", config={"INFERENCE_PRECISION_HINT": "f32", "CACHE_DIR": ""}
    )
    prediction = inferencer.predict(path)
    with torch.inference_mode():
        expected = model(torch.from_numpy(read_image(Path(path))).permute(2, 0, 1)[None].float() / 255, "tank_screw")
    assert float(np.squeeze(prediction.pred_score)) == pytest.approx(float(expected.pred_score), abs=1e-5)


def test_the_manifest_says_what_was_exported(exported: Path, model: FederatedPatchcore) -> None:
    graph = ov.Core().read_model(exported / "tank_screw" / "model.xml")
    manifest = json.loads(graph.get_rt_info(["anomalib_federated", "manifest"]).astype(str))
    assert manifest["category"] == "tank_screw"
    assert manifest["bank_rows"] == 100
    assert manifest["image_threshold"] == model.post_processor.thresholds["tank_screw"].image
    assert manifest["parity"]["verdict_flips"] == 0
    bundle = read_bundle(exported)
    assert bundle.categories == model.bank.categories
    assert bundle.manifest["bank"]["digest"] == model.bank.digest
    assert bundle.manifest["backbone"] == {"name": model.space.backbone, "digest": model.space.weights}
    entry = bundle.manifest["categories"]["tank_screw"]
    assert entry["image_threshold"] == manifest["image_threshold"]
    (held,) = (item for item in model.bank.contributions if item.category == "tank_screw")
    told = {"site": held.site, "pictures": held.images, "patches": held.patches, "rows": held.rows}
    assert entry["contributions"] == [told]


def test_a_model_without_threshold_is_refused(datamodule: AutoVI, tmp_path: Path) -> None:
    model = FederatedPatchcore(budget=10, visualizer=False)
    model.bank = train_centralised(model, datamodule)
    with pytest.raises(ExportError, match="no threshold for pipe_staple, tank_screw"):
        export_bundle(model, tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_export_that_differs_from_torch_is_refused_and_leaves_the_old_one(
    model: FederatedPatchcore, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (exported / "pipe_staple" / "model.bin").read_bytes()
    fill_in = export.filled_in
    monkeypatch.setattr(
        export,
        "filled_in",
        lambda template, constants, **size: fill_in(template, [constants[0] * 1.1, *constants[1:]], **size),
    )
    with pytest.raises(ExportError, match=r"pipe_staple.*differs from torch"):
        export_bundle(model, exported)
    assert (exported / "pipe_staple" / "model.bin").read_bytes() == before
    assert sorted(folder.name for folder in exported.iterdir()) == ["manifest.json", "pipe_staple", "tank_screw"]
    assert [path.name for path in exported.parent.iterdir()] == ["bundle"]


def test_exporting_again_replaces(model: FederatedPatchcore, exported: Path, tmp_path: Path) -> None:
    shutil.copytree(exported, tmp_path / "bundle")
    (tmp_path / "bundle" / "tank_screw" / "stale.txt").write_text("old")
    export_bundle(model, tmp_path / "bundle")
    assert sorted(path.name for path in (tmp_path / "bundle" / "tank_screw").iterdir()) == ["model.bin", "model.xml"]
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


@pytest.mark.slow
def test_onnx_gives_torchs_scores_for_any_batch(screws: AutoVI, tmp_path: Path) -> None:
    model = trained(screws, image_size=(320, 320))  # no picture is larger: ONNX's own antialiasing differs
    compiled = ov.Core().compile_model(model.to_onnx(tmp_path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    for batch, height, width in ((1, 101, 203), (3, 240, 320)):
        images = torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(2))
        with torch.inference_mode():
            expected = model(images)
        answer = compiled([images.numpy()])
        np.testing.assert_allclose(answer["pred_score"], expected.pred_score.numpy(), atol=1e-5)
        np.testing.assert_allclose(answer["anomaly_map"], expected.anomaly_map.numpy(), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("rows", [(20, 3), (1, 20)], ids=str)
def test_categories_with_fewer_rows_than_neighbours(datamodule: AutoVI, tmp_path: Path, rows: tuple[int, int]) -> None:
    model = trained(datamodule, score="reweighted", image_size=(64, 64))
    parts = [model.bank.for_category(name) for name in model.bank.categories]
    model.bank = MemoryBank.merge(part.select(torch.arange(n)) for part, n in zip(parts, rows, strict=True))
    calibrate(model, datamodule.val_data)
    bundle = export_bundle(model, tmp_path)
    assert max(entry["parity"]["largest"] for entry in bundle.manifest["categories"].values()) < 1e-4
