"""``anomalib-federated attack``: from a YAML to a table, JSON and plots; and that nobody else takes an attack."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
import yaml

import anomalib_federated
from anomalib_federated.cli.attack import WARNING
from anomalib_federated.cli.main import main
from anomalib_federated.evaluation.robustness.result import read_cell
from anomalib_federated.interfaces.screening import Refusal, Screening


class RefusesLongRows(Screening):
    """Rows longer than any of the backbone's."""

    def __init__(self, *, most: float = 100.0):
        self.most = most

    def screen(self, banks):
        masks = {bank.sites[0]: bank.features.float().norm(dim=1) > self.most for bank in banks}
        return [Refusal(site=site, rows=rows, reason="too long") for site, rows in masks.items() if rows.any()]


def configuration(demo_root: Path, folder: Path, **changed: object) -> Path:
    content = {
        "data": {
            "class_path": "anomalib_federated.data.AutoVI",
            "init_args": {"root": str(demo_root), "categories": ["tank_screw"], "validation_share": 0.3},
        },
        "model": {
            "class_path": "anomalib_federated.models.FederatedPatchcore",
            "init_args": {"budget": 30, "image_size": [128, 128], "visualizer": False},
        },
        "partitioner": {"class_path": "iid", "init_args": {"sites": 3}},
        "strategy": {"class_path": "federated_coreset", "init_args": {"budget": 50}},
        "target": "missing",
        "shares": [0.5],
        "bad_sites": [1, 2],
        "attacks": {"whitelisting": None, "far": {"class_path": "scaling", "init_args": {"factor": 1000}}},
        "defences": {"short": {"screening": [{"class_path": "test_attack_command.RefusesLongRows"}]}},
        **changed,
    }
    file = folder / "attack_config.yaml"
    file.write_text(yaml.safe_dump(content))
    return file


def run(config: Path, output: Path, *arguments: str) -> int:
    return main(["attack", "--config", str(config), f"--output={output}", *arguments])


@pytest.fixture(scope="module")
def finished(demo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("attack")
    assert run(configuration(demo_root, output), output) == 0
    return output


def test_cells_results_and_plots_are_written(finished: Path) -> None:
    cells = sorted(path.relative_to(finished / "cells").as_posix() for path in finished.glob("cells/**/*.json"))
    assert cells == sorted(
        f"{defence}/{cell}.json"
        for defence in ("none", "short")
        for cell in (
            "clean/bad_0_share_0",
            *(f"{attack}/bad_{bad}_share_0.5" for attack in ("far", "whitelisting") for bad in (1, 2)),
        )
    )
    content = json.loads((finished / "attacks.json").read_text())
    assert len(content["cells"]) == len(cells)
    assert "EVALUATION ONLY" in content["note"]
    assert (finished / "success_1_bad_1.png").stat().st_size > 1000
    assert WARNING in (finished / "attack.yaml").read_text()


def test_the_defence_refuses_what_it_should(finished: Path) -> None:
    found = {
        defence: read_cell(finished / f"cells/{defence}/far/bad_2_share_0.5.json") for defence in ("none", "short")
    }
    assert found["none"].admission.poison_admitted == found["none"].admission.poison == 30
    assert found["short"].admission.poison_admitted == 0
    assert found["short"].admission.detector_auroc == 1.0
    assert found["short"].admission.honest_refused == 0


def test_it_prints_tables_and_a_loud_warning(
    finished: Path, demo_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    assert run(configuration(demo_root, tmp_path), finished) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "ATTACKS ARE FOR EVALUATION ONLY" in told
    assert "0 cells computed, 10 finished before" in told
    for words in ("attack, 1 bad", "attack, 2 bad", "whitelisting", "far", "short", "honest rows refused"):
        assert words in told


def test_cells_of_other_settings_are_refused(
    finished: Path, demo_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(configuration(demo_root, tmp_path), finished, "--model.budget=31") == 1
    assert "was computed with other settings" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"attacks": {"whitelistin": None}}, "Did you mean 'whitelisting'?"),
        ({"defences": {"x": {"screnning": []}}}, "has no setting 'screnning'"),
        ({"defences": {"x": {"screening": "finite_and_norm"}}}, "give a list of plugins"),
        ({"defences": {"x": {"site_quorum": 0}}}, "site_quorum is 0"),
        (
            {"model": {"class_path": "anomalib_federated.models.FederatedPatchcore", "init_args": {"site_quorum": 2}}},
            "set it in a defence instead",
        ),
        ({"target": "rust"}, "The target 'rust' has 0 test pictures"),
        ({"partitioner": {"class_path": "iid", "init_args": {"sites": 1}}}, "attacks need at least 2"),
        ({"data": {"class_path": "anomalib_federated.data.AutoVI"}}, "on one category, got None; name it"),
        ({"most_good": 0}, "most_good is 0; give a number of pictures of at least 1"),
        ({"most_others": -1}, "most_others is -1"),
        ({"shares": [0.5, 0.5000000001]}, "A share stands twice among 0.5, 0.5"),
        ({"bad_sites": [1, 1]}, "A number of bad sites stands twice among 1, 1"),
    ],
    ids=[
        "attack",
        "setting",
        "screening",
        "quorum",
        "quorum of all",
        "target",
        "one site",
        "category",
        "good",
        "others",
        "shares",
        "bad sites",
    ],
)
def test_mistakes_are_told(
    demo_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], changed: dict[str, object], problem: str
) -> None:
    assert run(configuration(demo_root, tmp_path, **changed), tmp_path / "out") == 1
    assert problem in capsys.readouterr().err
    assert not list((tmp_path / "out").glob("cells/*"))


def test_a_failing_cell_is_told(demo_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nothing = {"screening": [{"class_path": "test_attack_command.RefusesLongRows", "init_args": {"most": 0.0}}]}
    config = configuration(demo_root, tmp_path, defences={"nothing": nothing}, bad_sites=[1], attacks={"noise": None})
    assert run(config, tmp_path / "out") == 1
    told = " ".join(capsys.readouterr().out.split())
    assert "nothing, all sites honest failed: RobustnessError: The defence refuses all rows" in told
    assert (tmp_path / "out/cells/none/noise/bad_1_share_0.5.json").is_file()


@pytest.mark.parametrize("command", ["federate", "experiment"])
def test_no_other_command_takes_an_attack(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump({"attacks": {"whitelisting": None}}))
    with pytest.raises(SystemExit):
        main([command, "--config", str(file)])
    assert "attacks" in capsys.readouterr().err


def test_nothing_else_loads_the_kind() -> None:
    """Whoever asks the registry for an attack says so in a literal."""
    root = Path(anomalib_federated.__file__).parent
    asking = set()
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                if name in {"build", "load"} and node.args[0].value == "attack":
                    asking.add(path.relative_to(root).as_posix())
    assert asking == {"evaluation/robustness/study.py"}
