"""A federation under a promise, from the command line to the report of what was given away."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from anomalib_federated.bank import MemoryBank
from anomalib_federated.cli.main import main
from anomalib_federated.evaluation.results import read_results

ARGUMENTS = [
    "--data.categories=[tank_screw]",
    "--model.image_size=[160,160]",
    "--model.budget=60",
    "--partitioner.sites=2",
    "--no-centralised",
]


def federate(demo_root: Path, output: Path, *arguments: str) -> int:
    return main(["federate", f"--data.root={demo_root}", f"--output={output}", *ARGUMENTS, *arguments])


@pytest.fixture(scope="module")
def private(demo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("private")
    settings = ["--privacy=adaptive_gaussian", "--privacy.epsilon=8", "--strategy=noisy_sums"]
    assert federate(demo_root, output, *settings) == 0
    return output


def test_every_site_says_what_it_gave_away(private: Path) -> None:
    for site in ("site_1", "site_2"):
        told = json.loads((private / "federated" / "privacy" / site / "privacy_budget.json").read_text())
        assert told["epsilon_spent"] == {"tank_screw": pytest.approx(8.0)}
        assert len(told["releases"]) == 4


def test_the_promise_is_in_the_bank_the_figures_and_what_is_printed_of_them(
    private: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = private / "federated" / "bank.safetensors"
    (promise,) = MemoryBank.load(path).privacy.values()
    (result,) = read_results(private)
    assert result.bank is not None
    assert [told["epsilon"] for told in result.bank.privacy] == [promise.epsilon]
    assert {share.site for share in result.bank.sites} == {"all-sites", "site_1", "site_2"}
    assert all(share.bytes_up > 0 for share in result.bank.sites if share.site != "all-sites")
    assert main(["bank", "info", str(path)]) == 0
    assert "per picture, epsilon 8" in " ".join(capsys.readouterr().out.split())
    assert (private / "federated" / "openvino" / "tank_screw" / "model.xml").is_file()


def test_a_plugin_of_sums_needs_the_strategy_that_carries_them(
    demo_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert federate(demo_root, tmp_path, "--privacy=adaptive_gaussian") == 1
    assert "noisy_sums" in " ".join(capsys.readouterr().err.split())


@pytest.mark.slow
def test_rows_with_noise_are_said_to_promise_nothing_about_pictures(demo_root: Path, tmp_path: Path) -> None:
    assert federate(demo_root, tmp_path, "--privacy=row_noise", "--privacy.epsilon=1") == 0
    bank = MemoryBank.load(tmp_path / "federated" / "bank.safetensors")
    assert {promise.unit for promise in bank.privacy.values()} == {"row"}
    assert set(bank.privacy) == {"site_1", "site_2"}


@pytest.mark.slow
def test_blind_rows_with_noise_promise_something_about_pictures(demo_root: Path, tmp_path: Path) -> None:
    settings = ["--privacy=row_noise", "--privacy.rows_per_picture=1", "--site_coreset=random"]
    assert federate(demo_root, tmp_path, *settings) == 0
    bank = MemoryBank.load(tmp_path / "federated" / "bank.safetensors")
    assert {promise.unit for promise in bank.privacy.values()} == {"picture"}
    assert not bank.covering_radius
    assert all(item.covering_radius is None for item in bank.contributions)
