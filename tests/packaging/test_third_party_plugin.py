"""The example of a plugin package, installed beside the wheel: its names work in commands and configurations."""

from __future__ import annotations

from pathlib import Path

import pytest

from anomalib_federated.bank import MemoryBank
from tests.packaging.environments import ROOT, Environment

pytestmark = pytest.mark.slow

PACKAGE = ROOT / "examples" / "third_party_plugin"


@pytest.fixture(scope="module")
def environment(training: Environment) -> Environment:
    training.install(PACKAGE)
    return training


def test_both_plugins_are_listed(environment: Environment, tmp_path: Path) -> None:
    listing = environment.run("anomalib-federated", "plugins", cwd=tmp_path)
    for name, summary in (
        ("k_means_seeding", "Draws each row with a chance"),
        ("capped_sites", "Keeps at most so many rows per site"),
    ):
        (line,) = [line for line in listing.splitlines() if f" {name} " in line]
        assert "inspection-extras 0.1.0" in line
        assert summary in line


def test_its_own_tests_pass_against_what_is_installed(environment: Environment, tmp_path: Path) -> None:
    alone = ("-q", "-p", "no:cacheprovider", "--rootdir", tmp_path, "--config-file", "/dev/null", "--doctest-modules")
    code = environment.packages / "inspection_extras"
    printed = environment.run("python", "-m", "pytest", *alone, code, PACKAGE / "tests", cwd=tmp_path)
    assert "4 passed" in printed
    where = environment.run("python", "-c", "import anomalib_federated as it; print(it.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(environment.packages)


def test_its_configuration_runs(environment: Environment, demo_root: Path, tmp_path: Path) -> None:
    environment.run(
        "anomalib-federated", "federate", "--config", PACKAGE / "federation.yaml", "--no-centralised",
        f"--data.root={demo_root}", "--data.categories=[tank_screw]", "--partitioner.sites=2",
        "--model.image_size=[160,160]", "--model.budget=40", "--strategy.most_per_site=30", "--output=out",
        cwd=tmp_path,
    )  # fmt: skip
    bank = MemoryBank.load(tmp_path / "out" / "federated" / "bank.safetensors")
    assert {item.coreset for item in bank.contributions} == {"k_means_seeding"}
    assert bank.coresets == {"tank_screw": "30 per site, k_center of k_means_seeding"}
    assert bank.row_site.bincount().tolist() == [30, 30]
