"""Screenings on the command line and in the files of experiments and deployments."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml

from anomalib_federated.bank import MemoryBank
from anomalib_federated.cli import federate
from anomalib_federated.cli.main import main
from anomalib_federated.cli.refused_table import print_refused
from anomalib_federated.evaluation.experiments.methods import ExperimentError, Method
from anomalib_federated.evaluation.results import BankFacts, Result, read_results
from anomalib_federated.federation.folder import FederationFolder
from anomalib_federated.federation.settings import FederationSettings, SettingsError
from anomalib_federated.interfaces.refused import Refused
from anomalib_federated.interfaces.strategy import BankStrategy
from anomalib_federated.messages.agreement import Agreement
from anomalib_federated.testing import example_bank
from anomalib_federated.testing.screening import honest_banks
from tests.evaluation.made_results import made_result

CHAIN = "[finite_and_norm, {class_path: site_zscore, init_args: {threshold: 4.0}}]"
CONFIGS = Path(__file__).parents[2] / "configs" / "deployment"


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Banks of three plants, and of one that sends its rows with flipped signs."""
    *banks, bad = honest_banks(4)
    banks.append(replace(bad, features=-bad.features))
    return [str(bank.save(tmp_path / f"{bank.sites[0]}.safetensors")) for bank in banks]


@pytest.fixture
def folder(tmp_path: Path) -> FederationFolder:
    agreement = Agreement(space=example_bank().space, dtype="float32", budget=40)
    return FederationFolder.create(tmp_path / "federation", agreement)


def words(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


def test_files_are_screened_and_what_was_refused_is_printed(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "global"
    assert main(["bank", "aggregate", *files, f"--screening={CHAIN}", f"--output={output}"]) == 0
    assert MemoryBank.load(output).sites == ("plant-1", "plant-2", "plant-3")
    text = capsys.readouterr().out
    assert "Rows that screenings refused" in text
    assert max(map(len, text[text.index("Rows that screenings refused") :].splitlines())) <= 80
    for word in ("plant-4", "screw", "site_zscore", "40 of 40", "middle of the sites"):
        assert word in " ".join(text.split()), text
    assert main(["bank", "aggregate", *files, f"--output={output}"]) == 0
    assert "refused" not in words(capsys)
    assert "plant-4" in MemoryBank.load(output).sites


def test_a_folder_remembers_its_screenings(
    files: list[str], folder: FederationFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(folder.path)
    assert main(["bank", "add", path, *files[:3]]) == 0
    assert main(["bank", "aggregate", "--folder", path, "--screening", CHAIN]) == 0
    assert "refused" not in words(capsys)
    assert main(["bank", "add", path, files[3]]) == 0
    assert "plant-4 screw site_zscore 40 of 40" in words(capsys)
    assert main(["status", path]) == 0
    assert "plant-4 screw site_zscore 40 of 40" in words(capsys)
    assert main(["status", path, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["versions"][1]["refused"][0]["site"] == "plant-4"
    assert main(["bank", "aggregate", "--folder", path]) == 0  # as before
    assert "plant-4 screw site_zscore 40 of 40" in words(capsys)
    assert main(["bank", "aggregate", "--folder", path, "--screening", "[]"]) == 0
    assert "refused" not in words(capsys)
    assert [len(version.refused) for version in folder.versions()] == [0, 1, 1, 0]
    assert main(["bank", "remove-site", path, "plant-1"]) == 0
    assert folder.versions()[-1].screening == ()


def test_a_screening_is_not_dropped_because_something_else_is_changed(
    files: list[str], folder: FederationFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(folder.path)
    assert main(["bank", "add", path, *files]) == 0
    assert main(["bank", "aggregate", "--folder", path, f"--screening={CHAIN}"]) == 0
    for changed in ("--budget=9", "--seed=1", "--strategy=concatenate"):
        assert main(["bank", "aggregate", "--folder", path, changed]) == 1
        assert "Version 1 was screened by finite_and_norm, site_zscore;" in capsys.readouterr().err
    assert [len(version.refused) for version in folder.versions()] == [1]
    assert main(["bank", "aggregate", "--folder", path, "--budget=9", "--screening", "[]"]) == 0
    assert main(["bank", "aggregate", "--folder", path, "--budget=8"]) == 0  # there was none to drop
    assert [version.screening for version in folder.versions()][1:] == [(), ()]


def test_removing_a_site_tells_what_is_refused_of_the_others(
    files: list[str], folder: FederationFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(folder.path)
    assert main(["bank", "add", path, *files]) == 0
    assert main(["bank", "aggregate", "--folder", path, f"--screening={CHAIN}"]) == 0
    capsys.readouterr()
    assert main(["bank", "remove-site", path, "plant-2"]) == 0
    assert "plant-4 screw site_zscore 40 of 40" in words(capsys)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--screening=[site_zscor]"], "Did you mean 'site_zscore'?"),
        (["--screening=[{class_path: site_zscore, init_args: {treshold: 3}}]"], "cannot be made with"),
        (["--screening=[{class_path: site_zscore, init_args: {threshold: -1}}]"], "threshold is -1; give a number"),
        (["--screening=[site_zscore]", "--strategy=exact_k_center"], "merges no whole banks of sites"),
        (["--screening=[{class_path: finite_and_norm, init_args: {norm_max: 0.1}}]"], "leave no row of category"),
    ],
    ids=["unknown", "argument", "value", "strategy", "nothing left"],
)
def test_what_cannot_be_is_said(
    arguments: list[str], problem: str, files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bank", "aggregate", *files, f"--output={tmp_path / 'global'}", *arguments]) == 1
    assert problem in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "global").exists()


def test_nothing_that_was_said_upsets_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_refused([Refused(screening="[red]s", site="[b]a", category="nut", rows=1, of=2, reason="\x1b[2J [/] why")])
    text = words(capsys)
    assert "[b]a" in text
    assert "[red]s" in text
    assert "\x1b[2J" not in text
    print_refused([])
    assert capsys.readouterr().out == ""


def test_federate_hands_its_screenings_to_the_strategy(
    demo_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Refused(screening="row_quota", site="site_1", category="tank_screw", rows=15, of=40, reason="by lot")
    bank = BankFacts(rows=50, bytes=4, covering_radius=None, sites=(), refused=(told,))

    def run_federated(*_: object, strategy: BankStrategy, **__: object) -> list[Result]:
        assert [(name, vars(plugin)) for name, plugin in strategy.screening] == [
            ("row_quota", {"times": 3.0, "most": 25, "seed": 0})
        ]
        return [replace(made_result("federated", "tank_screw", 0.5), bank=bank)]

    monkeypatch.setattr(federate, "run_federated", run_federated)
    chain = "[{class_path: row_quota, init_args: {most: 25}}]"
    arguments = [f"--screening={chain}", f"--data.root={demo_root}", "--data.categories=[tank_screw]"]
    assert main(["federate", *arguments, f"--output={tmp_path}"]) == 0
    assert "site_1 tank_screw row_quota 15 of 40 by lot" in words(capsys)
    written = yaml.safe_load((tmp_path / "config.yaml").read_text())
    assert written["screening"] == yaml.safe_load(chain)


def test_a_method_of_an_experiment_names_screenings() -> None:
    method = Method.of("iid", {"partitioner": "iid", "screening": yaml.safe_load(CHAIN)})
    assert method.plain()["screening"] == yaml.safe_load(CHAIN)
    assert Method.of("iid", {"partitioner": "iid"}).screening == []
    with pytest.raises(ExperimentError, match="has no partitioner"):
        Method.of("pooled", {"screening": ["row_quota"]})


def test_an_experiment_screens(demo_root: Path, tmp_path: Path) -> None:
    content = {
        "data": {"class_path": "anomalib_federated.data.AutoVI",
                 "init_args": {"root": str(demo_root), "categories": ["tank_screw"]}},
        "model": {"class_path": "anomalib_federated.models.FederatedPatchcore",
                  "init_args": {"budget": 20, "image_size": [64, 64], "visualizer": False}},
        "methods": {"quota": {"partitioner": {"class_path": "iid", "init_args": {"sites": 2}},
                              "screening": [{"class_path": "row_quota", "init_args": {"most": 5}}]}},
        "resamples": 0,
    }  # fmt: skip
    config = tmp_path / "experiment.yaml"
    config.write_text(yaml.safe_dump(content))
    assert main(["experiment", "--config", str(config), f"--output={tmp_path / 'out'}"]) == 0
    (result,) = read_results(tmp_path / "out")
    assert result.bank is not None
    assert result.bank.rows == 10
    assert sum(each.rows for each in result.bank.refused) == 30
    assert result.settings["method"]["screening"] == content["methods"]["quota"]["screening"]


@pytest.fixture
def federation_yaml(tmp_path: Path):
    def write(**changed: object) -> Path:
        config = yaml.safe_load((CONFIGS / "federation.yaml").read_text()) | {"output": str(tmp_path / "folder")}
        path = tmp_path / "federation.yaml"
        path.write_text(yaml.safe_dump(config | changed))
        return path

    return write


def test_a_deployment_names_screenings(federation_yaml) -> None:
    settings = FederationSettings.read(federation_yaml(screening=yaml.safe_load(CHAIN)))
    assert settings.screening == yaml.safe_load(CHAIN)
    assert [name for name, _ in settings.make_strategy().screening] == ["finite_and_norm", "site_zscore"]
    assert FederationSettings.read(federation_yaml()).make_strategy().screening == ()


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"screening": ["site_zscor"]}, "Did you mean 'site_zscore'"),
        ({"screening": "site_zscore"}, "screening"),
        ({"screening": ["site_zscore"], "strategy": "exact_k_center"}, "merges no whole banks of sites"),
    ],
    ids=["unknown", "no list", "strategy"],
)
def test_a_deployment_with_a_wrong_screening_does_not_begin(changed, problem, federation_yaml) -> None:
    with pytest.raises(SettingsError, match=problem):
        FederationSettings.read(federation_yaml(**changed))


def test_the_banks_of_these_tests_differ_in_sign_alone(files: list[str]) -> None:
    means = [MemoryBank.load(file).features.mean() for file in files]
    assert torch.tensor(means).sign().tolist() == [1, 1, 1, -1]
