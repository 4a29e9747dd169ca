"""Groups of pictures and fairness rules, named on the command line and in an experiment."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from anomalib_federated.bank import MemoryBank
from anomalib_federated.bank.row_groups import rows_by_group
from anomalib_federated.cli.main import main
from anomalib_federated.data.grouping import GroupingError
from anomalib_federated.evaluation.experiments.methods import ExperimentError, Method
from anomalib_federated.evaluation.results import read_results

PATTERN = {"pattern": "^(?P<group>s\\d+)_"}
"""The demo's pictures are called by their site: s1_000.png."""
SMALL = ["--data.categories=[tank_screw]", "--model.image_size=[64,64]", "--model.budget=30"]


@pytest.fixture(scope="module")
def federated(demo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("federated")
    named = [f"--groups={json.dumps(PATTERN)}", "--fairness=fair_k_center", "--fairness.minimum=2"]
    arguments = [f"--data.root={demo_root}", f"--output={output}", "--partitioner.sites=2", "--no-centralised", *SMALL]
    assert main(["federate", *arguments, *named]) == 0
    return output


def test_the_sites_of_a_federation_choose_by_the_rule_and_the_result_says_so(federated: Path) -> None:
    bank = MemoryBank.load(federated / "federated" / "bank.safetensors")
    assert {item.site for item in rows_by_group(bank)} == {"site_1", "site_2"}
    assert {item.coreset for item in bank.contributions} == {"fair_k_center"}
    assert all(name.startswith("s") and name[1:].isdigit() for name in bank.groups)
    fairness = {"class_path": "fair_k_center", "init_args": {"minimum": 2}}
    (result,) = read_results(federated)
    assert (result.settings["groups"], result.settings["fairness"]) == (PATTERN, fairness)
    assert result.settings["bank"] == bank.digest
    config = yaml.safe_load((federated / "config.yaml").read_text())
    assert (config["groups"], config["fairness"]) == (PATTERN, fairness)


def test_bank_info_counts_the_rows_of_each_group(federated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = federated / "federated" / "bank.safetensors"
    bank = MemoryBank.load(path)
    assert main(["bank", "info", str(path)]) == 0
    words = capsys.readouterr().out.split()
    first = rows_by_group(bank)[0]
    at = words.index("group")
    assert words[at : at + 3] == ["group", "rows", "patches"]
    line = [first.site, first.category, first.group, str(first.rows), f"{first.patches:g}"]
    assert " ".join(line) in " ".join(words)
    assert main(["bank", "info", "--json", str(path)]) == 0
    (told,) = json.loads(capsys.readouterr().out).values()
    assert sum(item["rows"] for item in told["groups"]) == len(bank)


def test_a_bank_is_updated_with_groups_as_it_had(
    federated: Path, demo_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, output = federated / "federated" / "sites" / "site_1.safetensors", tmp_path / "new.safetensors"
    update = ["bank", "update", str(path), f"--data.root={demo_root}", "--data.categories=[tank_screw]"]
    assert main([*update, f"--output={output}"]) == 1
    assert "those of the new images are not told" in " ".join(capsys.readouterr().err.split())
    assert main([*update, f"--output={output}", "--groups={found: 2}"]) == 1
    assert "cannot be found again in new ones" in " ".join(capsys.readouterr().err.split())
    assert main([*update, f"--output={output}", f"--groups={json.dumps(PATTERN)}"]) == 0
    assert set(MemoryBank.load(output).groups) >= set(MemoryBank.load(path).groups)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fairness=equal"], "A fairness rule is named, but no groups"),
        (["--fairness=fairest", "--groups={by: category}"], "no fairness plugin named 'fairest'"),
        (["--groups={by: line}"], "are not understood"),
        (["--groups={pattern: '(?P<group>no)'}"], "names no group for the picture tank_screw/"),
        (["--groups={by: category}", "--privacy=row_noise"], "does not protect that"),
    ],
    ids=["no groups", "unknown rule", "unknown groups", "no match", "promise"],
)
def test_a_mistake_is_told_in_one_sentence(
    arguments: list[str], message: str, demo_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = [f"--data.root={demo_root}", f"--output={tmp_path}", "--no-centralised", *SMALL]
    assert main(["federate", *common, *arguments]) == 1
    assert message in " ".join(capsys.readouterr().err.split())


@pytest.mark.slow
def test_an_experiment_compares_pooled_and_federated_rules(demo_root: Path, tmp_path: Path) -> None:
    said = {"groups": PATTERN, "fairness": "equal"}
    content = {
        "data": {
            "class_path": "anomalib_federated.data.AutoVI",
            "init_args": {"root": str(demo_root), "categories": ["tank_screw"]},
        },
        "model": {
            "class_path": "anomalib_federated.models.FederatedPatchcore",
            "init_args": {"budget": 20, "image_size": [64, 64], "visualizer": False},
        },
        "methods": {"pooled": said, "iid": {"partitioner": "iid", **said}},
        "resamples": 0,
    }
    file = tmp_path / "experiment.yaml"
    file.write_text(yaml.safe_dump(content))
    assert main(["experiment", "--config", str(file), f"--output={tmp_path / 'out'}"]) == 0
    results = {result.method: result for result in read_results(tmp_path / "out")}
    for name, result in results.items():
        assert {key: result.settings["method"][key] for key in said} == said
        bank = MemoryBank.load(tmp_path / "out" / "seed_0" / name / "tank_screw" / "bank.safetensors")
        assert bank.groups
        assert {item.coreset for item in bank.contributions} == {"equal"}
    assert set(results) == {"pooled", "iid"}


def test_settings_of_methods_without_groups_are_as_before() -> None:
    assert Method.of("m", {}).plain() == {"model": {}}
    assert set(Method.of("m", {"partitioner": "iid"}).plain()).isdisjoint({"groups", "fairness"})
    pooled = Method.of("m", {"groups": {"by": "category"}})
    assert pooled.plain() == {"model": {}, "groups": {"by": "category"}}


def test_a_method_that_cannot_be_run_is_refused() -> None:
    with pytest.raises(ExperimentError, match="'m' names a fairness rule, but no groups"):
        Method.of("m", {"partitioner": "iid", "fairness": {"class_path": "equal"}})
    with pytest.raises(GroupingError, match="are not understood"):
        Method.of("m", {"groups": {"by": "line"}})
