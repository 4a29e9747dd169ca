"""What the command tells of this machine, and what it says when something is missing."""

from __future__ import annotations

import json
import shutil
from importlib.metadata import version
from pathlib import Path

import pytest

from anomalib_federated import registry
from anomalib_federated.cli.main import main
from anomalib_federated.diagnosis.packages import check_packages
from anomalib_federated.diagnosis.plugins import check_plugins


def test_json_tells_versions_devices_weights_plugins_and_disks(capsys: pytest.CaptureFixture[str]) -> None:
    main(["doctor", "--json", "--for", "station"])
    told = json.loads(capsys.readouterr().out)
    found = {(check["topic"], check["name"]): check["found"] for check in told["checks"]}
    assert f"openvino {version('openvino')}" in found["versions", "the package alone"]
    assert f"torch {version('torch')}" in found["versions", "[train]"]
    assert "CPU" in found["devices", "OpenVINO"]
    assert found["weights", "tf_efficientnet_lite0"].endswith("the default backbone)")
    assert {name for topic, name in found if topic == "plugins"} >= set(registry.INTERFACES)
    free = float(found["disk", "this folder"].partition(" GB")[0])
    assert free == pytest.approx(shutil.disk_usage(Path.cwd()).free / 1e9, rel=0.1)


def test_no_package_is_told_twice() -> None:
    names = [
        part.split()[0]
        for check in check_packages("training")
        if check.name.startswith("[")
        for part in check.found.split(", ")
    ]
    assert len(names) == len(set(names))


def test_a_plugin_that_cannot_be_loaded_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "broken_extras-1.2.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-extras\nVersion: 1.2\n")
    (folder / "entry_points.txt").write_text("[anomalib_federated.coreset]\nbroken = no_such_module:Coreset\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    (failed,) = [check for check in check_plugins() if check.name == "coreset broken"]
    assert "broken-extras 1.2" in failed.problem
    assert "no_such_module" in failed.problem
    assert "pip uninstall broken-extras" in failed.mend
    (kind,) = [check for check in check_plugins() if check.name == "coreset"]
    assert kind.found.endswith("also of broken-extras")
