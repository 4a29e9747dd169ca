"""Wheel and source archive: all that is tracked is in them, and what was installed from them works."""

from __future__ import annotations

import json
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from anomalib_federated import __version__
from tests.deploy.tiny_model import part, save, save_model
from tests.packaging.environments import ROOT, Environment, run

TRACKED = ("anomalib_federated", "plugins/anomalib_federated_plugins")


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as content:
        return {name for name in content.namelist() if ".dist-info/" not in name}


def test_it_holds_all_that_is_tracked_and_nothing_else(wheel: Path) -> None:
    tracked = run("git", "ls-files", *TRACKED, cwd=ROOT).splitlines()
    assert names_in(wheel) == {name.removeprefix("plugins/") for name in tracked}


def test_it_carries_its_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as content:
        (name,) = [name for name in content.namelist() if name.endswith(".dist-info/licenses/LICENSE")]
        assert content.read(name) == (ROOT / "LICENSE").read_bytes()


def test_the_source_archive_makes_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", tmp_path, cwd=ROOT)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as content:
        content.extractall(tmp_path, filter="data")
    folder = tmp_path / archive.name.removesuffix(".tar.gz")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path, cwd=folder)
    (again,) = tmp_path.glob("*.whl")
    assert names_in(again) == names_in(wheel)


def test_installed_it_prints_an_app_that_flower_takes(training: Environment, tmp_path: Path) -> None:
    folder = Path(training.run("anomalib-federated", "app", cwd=tmp_path).strip())
    assert folder == training.packages / "anomalib_federated" / "flower_app" / "app"
    home = {"FLWR_HOME": str(tmp_path / "flower"), "FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1"}
    flwr = "from flwr.cli.app import app; app()"
    training.run("python", "-c", flwr, "build", "--app", folder, cwd=tmp_path, more=home)
    (bundle,) = tmp_path.glob("*.fab")
    with zipfile.ZipFile(bundle) as content:
        assert sorted(content.namelist()) == [".info/CONTENT", "pyproject.toml"]
        assert b'clientapp = "anomalib_federated.flower_app.client:app"' in content.read("pyproject.toml")


def test_a_station_needs_the_base_package_alone(station: Environment, tmp_path: Path) -> None:
    model = save_model(tmp_path / "model")
    save(tmp_path / "parts" / "good.png", part())
    save(tmp_path / "parts" / "bad.png", part(spot=250))
    assert station.run("anomalib-federated", "--version", cwd=tmp_path).strip() == f"anomalib-federated {__version__}"
    printed = station.run(
        "anomalib-federated", "inspect", "--model", model, "--input", tmp_path / "parts", "--json", cwd=tmp_path
    )
    verdicts = {Path(line["path"]).name: line["verdict"] for line in map(json.loads, printed.splitlines())}
    assert verdicts == {"good.png": "good", "bad.png": "anomalous"}
    seen = station.run("anomalib-federated", "doctor", "--json", cwd=tmp_path)
    assert json.loads(seen)["missing"] == []
    with pytest.raises(
        AssertionError, match=r"torch is not installed[^\n]*\n(.*\n)*  pip install 'anomalib-federated\[train\]'"
    ):
        station.run("anomalib-federated", "doctor", "--for", "training", cwd=tmp_path)
    with pytest.raises(AssertionError, match=r"run pip install 'anomalib-federated\[train\]'"):
        station.run("anomalib-federated", "federate", "--help", cwd=tmp_path)
