"""``anomalib-federated export`` from a bank to a station's verdict."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from anomalib_federated.bank import MemoryBank
from anomalib_federated.cli.main import main
from anomalib_federated.data import AutoVI
from anomalib_federated.deploy.bundle import read_bundle
from anomalib_federated.evaluation.experiments.training import train_centralised
from anomalib_federated.models import FederatedPatchcore


@pytest.fixture(scope="module")
def method(demo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a method, with a bank of two categories."""
    folder = tmp_path_factory.mktemp("method")
    data = AutoVI(demo_root)
    data.setup()
    train_centralised(FederatedPatchcore(budget=80, image_size=(96, 96), visualizer=False), data).save(
        folder / "bank.safetensors"
    )
    return folder


def test_from_a_bank_to_a_verdict(
    method: Path, demo_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--normal", str(demo_root), "--precision", "fp16", "--pictures", "3"]
    assert main(["export", "--bank", str(method), "--output", str(tmp_path / "b"), *options]) == 0
    bundle = read_bundle(tmp_path / "b")
    printed = capsys.readouterr().out
    assert bundle.version in printed
    assert bundle.categories == ("pipe_staple", "tank_screw")
    entry = bundle.manifest["categories"]["tank_screw"]
    data = AutoVI(demo_root)
    data.setup()
    told = {
        "from": "validation",
        "pictures": len(data.val_data.of_category("tank_screw")),
        "false_alarm_rate": 0.05,
    }
    assert told.items() <= entry["threshold_source"].items()
    picture = next((demo_root / "tank_screw" / "test" / "good").iterdir())
    model = str(bundle.model_path("tank_screw"))
    assert main(["inspect", "--model", model, "--input", str(picture), "--overlays", str(tmp_path / "seen")]) == 0
    # The thresholds of one bundle serve another of the same bank.
    again = ["--thresholds", str(tmp_path / "b"), "--category", "tank_screw", "--output", str(tmp_path / "one")]
    assert main(["export", "--bank", str(method / "bank.safetensors"), *again]) == 0
    copied = read_bundle(tmp_path / "one")
    assert copied.categories == ("tank_screw",)
    assert copied.manifest["categories"]["tank_screw"]["image_threshold"] == entry["image_threshold"]
    other_rule = [*again, "--score", "max"]
    assert main(["export", "--bank", str(method / "bank.safetensors"), *other_rule]) == 1
    assert "scores by smoothed_max, not max" in capsys.readouterr().err
    MemoryBank.load(method / "bank.safetensors").select(torch.arange(100)).save(tmp_path / "other.safetensors")
    assert main(["export", "--bank", str(tmp_path / "other.safetensors"), *again]) == 1
    assert "made of another bank" in capsys.readouterr().err


def test_a_compressed_bank_has_thresholds_of_its_own(method: Path, demo_root: Path, tmp_path: Path) -> None:
    options = ["--normal", str(demo_root), "--project", "pca:16", "--prune", "0.1", "--tolerance", "1"]
    options += ["--category", "tank_screw", "--pictures", "3", "--validation_share", "0.4"]
    assert main(["export", "--bank", str(method), "--output", str(tmp_path / "b"), *options]) == 0
    entry = read_bundle(tmp_path / "b").manifest["categories"]["tank_screw"]
    assert entry["compression"]["projection"] == {"kind": "pca", "width": 16}
    assert entry["bank_rows"] == 80 - entry["compression"]["pruned"]["dropped"]
    assert entry["score_change"]["largest"] > 1e-4


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--normal", "a", "--thresholds", "b"],
        ["--normal", "a", "--project", "pca"],
        ["--thresholds", "a", "--prune", ".1"],
    ],
    ids=str,
)
def test_wrong_calls_say_so(method: Path, tmp_path: Path, options: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["export", "--bank", str(method), "--output", str(tmp_path / "b"), *options])


def test_help_tells_of_both_ways(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["export", "--help"])
    printed = capsys.readouterr().out
    assert "--bank" in printed
    assert "--ckpt_path" in printed
