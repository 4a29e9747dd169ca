"""A detector that asks for two sites is exported as it computes, one graph for any number of sites."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from anomalib_federated.bank import MemoryBank
from anomalib_federated.cli.main import main
from anomalib_federated.deploy.export import ExportSettings, export_bundle
from anomalib_federated.deploy.runtimes import openvino_runtime
from anomalib_federated.models import FederatedPatchcore, detector_of
from anomalib_federated.models.post_processor import Thresholds
from anomalib_federated.testing import example_bank

SITES = {"nut": {"a": 5, "b": 2}, "screw": {"a": 3, "b": 9, "c": 1}}
SIZE = (64, 80)


@pytest.fixture(scope="module")
def model() -> FederatedPatchcore:
    space = FederatedPatchcore(image_size=SIZE).space
    generator = torch.Generator().manual_seed(0)
    banks = [
        replace(
            example_bank(rows=rows, dim=space.dim, site=site, category=category),
            features=torch.randn(rows, space.dim, generator=generator).abs() / 2,
            space=space,
        )
        for category, sites in SITES.items()
        for site, rows in sites.items()
    ]
    model = detector_of(MemoryBank.merge(banks), site_quorum=2)
    model.post_processor.thresholds = dict.fromkeys(SITES, Thresholds(image=6.0, pixel=6.0))
    return model


def test_openvino_asks_for_two_sites_too(model: FederatedPatchcore, tmp_path: Path) -> None:
    bundle = export_bundle(model, tmp_path / "bundle", settings=ExportSettings(input_size=SIZE))
    assert bundle.manifest["site_quorum"] == 2
    assert bundle.manifest["categories"]["screw"]["bank_rows"] == 13
    pictures = torch.rand(2, 3, *SIZE, generator=torch.Generator().manual_seed(1))
    for category in SITES:
        with torch.inference_mode():
            expected = model(pictures, category)
            alone = detector_of(model.bank)
            alone.post_processor.thresholds = model.post_processor.thresholds
            assert not torch.allclose(alone(pictures, category).pred_score, expected.pred_score, atol=1e-3)
        found = openvino_runtime(bundle.model_path(category))(pictures)
        np.testing.assert_allclose(found["pred_score"], expected.pred_score.numpy(), atol=1e-5)
        np.testing.assert_allclose(found["anomaly_map"], expected.anomaly_map.numpy(), atol=1e-5)


def test_thresholds_of_another_quorum_are_refused(
    model: FederatedPatchcore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export_bundle(model, tmp_path / "bundle", settings=ExportSettings(runtime="torch", input_size=SIZE))
    file = model.bank.save(tmp_path / "bank.safetensors")
    arguments = ["export", "--bank", str(file), "--thresholds", str(tmp_path / "bundle"), "--format", "torch"]
    assert main([*arguments, "--output", str(tmp_path / "again")]) == 1
    assert "give the same --site_quorum" in capsys.readouterr().err
