"""A plugin package that pip installs is found by name, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from anomalib_federated.bank import MemoryBank

PYPROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "every-nth"
version = "2.5"

[project.entry-points."anomalib_federated.coreset"]
every_nth = "every_nth:EveryNth"

[tool.setuptools]
py-modules = ["every_nth"]
"""

MODULE = '''
import torch

from anomalib_federated.interfaces.coreset import Coreset, Picks


class EveryNth(Coreset):
    """Takes rows at equal steps."""

    def pick(self, rows, *, seed, start):
        most = self.rows(len(rows))
        indices = torch.arange(most) * len(rows) // most
        if start is not None:
            indices = torch.cat([torch.tensor([start]), indices[indices != start]])[:most]
        return Picks(indices)
'''


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    source, site = tmp_path_factory.mktemp("every_nth"), tmp_path_factory.mktemp("site")
    (source / "pyproject.toml").write_text(PYPROJECT)
    (source / "every_nth.py").write_text(MODULE)
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--no-build-isolation",
            "--target",
            site,
            source,
        ],
        check=True,
    )
    return {**os.environ, "PYTHONPATH": str(site), "COLUMNS": "160"}


def command(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "anomalib_federated.cli.main", *arguments],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_it_is_listed(environment: dict[str, str]) -> None:
    listing = command(environment, "plugins", "coreset")
    assert listing.returncode == 0
    (line,) = [line for line in listing.stdout.splitlines() if "every_nth" in line]
    assert "every-nth 2.5" in line
    assert "Takes rows at equal steps." in line


def test_it_passes_the_conformance_checks(environment: dict[str, str]) -> None:
    code = """
from anomalib_federated import registry, testing
testing.check_plugin("coreset", registry.load("coreset", "every_nth"))
"""
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


def test_a_configuration_uses_it_by_name(environment: dict[str, str], demo_root: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(
        f"""
data: {{class_path: anomalib_federated.data.AutoVI, init_args: {{root: {demo_root}, categories: [tank_screw]}}}}
model:
  class_path: anomalib_federated.models.FederatedPatchcore
  init_args: {{coreset: every_nth, budget: 40}}
partitioner: {{class_path: iid, init_args: {{sites: 2}}}}
strategy: concatenate
output: {tmp_path / "out"}
"""
    )
    finished = command(environment, "federate", "--config", str(config), "--no-centralised")
    assert finished.returncode == 0, finished.stderr
    bank = MemoryBank.load(tmp_path / "out" / "federated" / "bank.safetensors")
    assert {item.coreset for item in bank.contributions} == {"every_nth"}
    assert len(bank) == 80
