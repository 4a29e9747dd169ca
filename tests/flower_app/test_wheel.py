"""The wheel: all that is tracked is in it, and installed it prints a Flower app that can be submitted."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*command, **settings):
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120, **settings).stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    pytest.importorskip("hatchling", reason="the build backend is not installed: pip install -e '.[dev]'")
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), cwd=ROOT)
    (built,) = folder.glob("*.whl")
    return built


def test_it_holds_all_that_is_tracked_and_nothing_else(wheel):
    tracked = run("git", "ls-files", "anomalib_federated", "plugins/anomalib_federated_plugins", cwd=ROOT).splitlines()
    with zipfile.ZipFile(wheel) as content:
        held = {name for name in content.namelist() if ".dist-info/" not in name}
    assert held == {name.removeprefix("plugins/") for name in tracked}


def test_installed_it_prints_an_app_that_flower_takes(wheel, tmp_path):
    run(sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", str(tmp_path), str(wheel))
    # The rest comes from this environment; the wheel stands before it.
    environment = {
        **os.environ,
        "PYTHONPATH": str(tmp_path),
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
    }
    folder = Path(run(tmp_path / "bin" / "anomalib-federated", "app", cwd=tmp_path, env=environment).strip())
    assert folder == tmp_path / "anomalib_federated" / "flower_app" / "app"
    flwr = Path(sys.executable).with_name("flwr")
    run(flwr, "build", "--app", str(folder), cwd=tmp_path, env={**environment, "FLWR_HOME": str(tmp_path / "flower")})
    (bundle,) = tmp_path.glob("*.fab")
    with zipfile.ZipFile(bundle) as content:
        assert sorted(content.namelist()) == [".info/CONTENT", "pyproject.toml"]
        assert b'clientapp = "anomalib_federated.flower_app.client:app"' in content.read("pyproject.toml")
