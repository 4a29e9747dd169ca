"""The built package, and environments that it is installed into."""

from __future__ import annotations

import sys
import sysconfig
from importlib.metadata import distribution
from pathlib import Path

import pytest

from tests.packaging.environments import ROOT, Environment, empty, link, run


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hatchling", reason="the build backend is not installed: pip install -e '.[dev]'")
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def training(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The wheel, beside all packages of the environment that runs the tests.

    A line of a .pth file is added to the path, and .pth files in the folder that it names are not read: an editable
    installation of the package lies there, but cannot be imported.
    """
    environment = empty(tmp_path_factory.mktemp("training"))
    (environment.packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    environment.install(wheel)
    return environment


@pytest.fixture(scope="module")
def station(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The wheel, beside links to numpy, OpenVINO, Pillow and what these need: what the base package requires."""
    environment = empty(tmp_path_factory.mktemp("station"))
    for name in ("numpy", "openvino", "openvino-telemetry", "pillow"):
        link(distribution(name), environment.packages)
    environment.install(wheel)
    return environment
