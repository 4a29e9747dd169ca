"""The commands, called as a user calls them."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

import pytest

from anomalib_federated.bank import MemoryBank
from anomalib_federated.cli import anomalib
from anomalib_federated.cli.main import COMMANDS, main
from anomalib_federated.evaluation.results import of_method, read_results

REPOSITORY = Path(__file__).parents[2]
CONFIGS = REPOSITORY / "configs"


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main(["--help"])
    assert exit_info.value.code == 0
    text = capsys.readouterr().out
    assert all(command in text for command in COMMANDS)
    assert max(map(len, text.splitlines())) <= 80


def test_an_unknown_command_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main(["fedrate"])
    assert exit_info.value.code == 2
    assert "fedrate" in capsys.readouterr().err


def test_plugins_lists_them_with_their_distribution(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    assert main(["plugins"]) == 0
    text = capsys.readouterr().out
    for name in ("k_center", "random", "federated_coreset", "concatenate", "iid", "category", "by_pattern"):
        assert name in text
    assert "anomalib-federated 0.1.0" in text


OF_CONFIGURATIONS = {
    "federated": "federate",
    "privacy": "federate",
    "experiment": "experiment",
    "explain": "explain",
    "robustness": "attack",
    "trade_off": "experiment",
}
"""Folder of configurations to the command of our own that they are for; the others are anomalib's."""


def federate(demo_root: Path, output: Path, *arguments: str, config: str = "iid") -> int:
    return main(
        [
            "federate",
            "--config",
            str(CONFIGS / "federated" / f"{config}.yaml"),
            f"--data.root={demo_root}",
            "--data.categories=[pipe_staple,tank_screw]",
            f"--output={output}",
            "--model.budget=60",
            "--model.image_size=[160,160]",
            "--strategy.init_args.budget=80",
            *arguments,
        ]
    )


@pytest.fixture(scope="module")
def federated(demo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("federated")
    assert federate(demo_root, output, "--partitioner.sites=3") == 0
    return output


def test_federate_writes_the_agreed_files(federated: Path) -> None:
    results = read_results(federated)
    assert [(result.method, result.category) for result in results] == [
        (method, category) for method in ("centralised", "federated") for category in ("pipe_staple", "tank_screw")
    ]
    for result in results:
        assert result.bank is not None
        assert (result.bank.bytes_sent > 0) == (result.method == "federated")
        assert (federated / result.method / "openvino" / result.category / "model.xml").is_file()
        metrics = json.loads((federated / "metrics" / result.method / result.category / "metrics.json").read_text())
        assert set(metrics["localization"]["auc_spro"]) == {"0.01", "0.05", "0.1", "0.3", "1.0"}
    bank = MemoryBank.load(federated / "federated" / "bank.safetensors")
    assert bank.categories == ("pipe_staple", "tank_screw")
    assert len(bank) == 160
    assert len(bank.contributions) == 6
    sent = [MemoryBank.load(path) for path in sorted((federated / "federated" / "sites").iterdir())]
    assert [site.sites for site in sent] == [(name,) for name in sorted(bank.sites)]
    assert {item for site in sent for item in site.contributions} == set(bank.contributions)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bank_and_figures(federated: Path, demo_root: Path, tmp_path: Path) -> None:
    assert federate(demo_root, tmp_path, "--partitioner.sites=3", "--no-centralised") == 0
    again, first = (folder / "federated" / "bank.safetensors" for folder in (tmp_path, federated))
    assert MemoryBank.load(again).digest == MemoryBank.load(first).digest
    assert read_results(tmp_path) == of_method(read_results(federated), "federated")


@pytest.mark.slow
def test_the_saved_configuration_runs_again(federated: Path, tmp_path: Path) -> None:
    output = tmp_path / "again"
    assert main(["federate", "--config", str(federated / "config.yaml"), f"--output={output}", "--no-centralised"]) == 0
    banks = (folder / "federated" / "bank.safetensors" for folder in (federated, output))
    assert len({MemoryBank.load(bank).digest for bank in banks}) == 1


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--strategy=federated_corset"], "Did you mean 'federated_coreset'"),
        (["--model.coreset=k_centre"], "Did you mean 'k_center'"),
        (["--data.categories=[brake]"], "There is no category 'brake'"),
        (["--data.root=/nowhere"], "There is no category"),
        (["--partitioner.sites=999"], "cannot be shared among 999 sites"),
    ],
)
def test_mistakes_are_told_in_one_sentence(
    demo_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], problem: str
) -> None:
    assert federate(demo_root, tmp_path / "out", *arguments, "--no-centralised") == 1
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert message.startswith("anomalib-federated federate: ")
    assert problem in message
    assert not (tmp_path / "out" / "metrics").exists()


@pytest.mark.slow
def test_category_and_pattern_partitions_run(demo_root: Path, tmp_path: Path) -> None:
    assert federate(demo_root, tmp_path / "category", "--no-centralised", config="category") == 0
    bank = MemoryBank.load(tmp_path / "category" / "federated" / "bank.safetensors")
    assert {"station_1", "station_2", "quality_control"} == set(bank.sites)
    pattern = r"--partitioner.pattern=^(?P<site>s\d)_"
    assert federate(demo_root, tmp_path / "pattern", "--no-centralised", pattern, config="magnetic_tile") == 0
    bank = MemoryBank.load(tmp_path / "pattern" / "federated" / "bank.safetensors")
    assert set(bank.sites) <= {"s1", "s2", "s3", "s4", "s5"}


def test_train_test_predict_export_behave_as_anomalibs(demo_root: Path, tmp_path: Path) -> None:
    config = [
        "--config",
        str(CONFIGS / "centralised" / "autovi.yaml"),
        "--model.budget=60",
        "--trainer.accelerator=cpu",
    ]
    data = [f"--data.root={demo_root}", "--data.categories=[tank_screw]"]
    assert main(["train", *config, *data, f"--default_root_dir={tmp_path}"]) == 0
    (checkpoint,) = tmp_path.glob(f"FederatedPatchcore/{demo_root.name}/tank_screw/v0/weights/lightning/*.ckpt")
    overlays = list(tmp_path.glob("FederatedPatchcore/*/tank_screw/v0/images/**/*.png"))
    tested = list((demo_root / "tank_screw" / "test").rglob("*.png"))
    assert len(overlays) == len(tested)
    for command in ("validate", "test", "predict"):
        assert main([command, *config, *data, f"--ckpt_path={checkpoint}", f"--default_root_dir={tmp_path}"]) == 0
    export = [f"--ckpt_path={checkpoint}", "--export_type=openvino", f"--export_root={tmp_path / 'station'}"]
    assert main(["export", *config, *export]) == 0
    assert main(["export", *config, *export, "--compression_type=FP16"]) == 1
    model = tmp_path / "station" / "weights" / "openvino" / "tank_screw"
    assert (
        main(["inspect", "--model", str(model), "--input", str(demo_root), "--overlays", str(tmp_path / "seen")]) == 0
    )


@pytest.mark.parametrize(
    "config",
    # tests/federation/test_settings.py reads those of a deployment, which are no command's.
    sorted(path for path in CONFIGS.rglob("*.yaml") if path.parent.name != "deployment"),
    ids=lambda path: f"{path.parent.name}-{path.stem}",
)
def test_every_configuration_parses(config: Path) -> None:
    if config.parent.name in OF_CONFIGURATIONS:
        name = OF_CONFIGURATIONS[config.parent.name]
        parser = import_module(f"anomalib_federated.cli.{name}").build_parser(name)
        assert parser.parse_args(["--config", str(config)]).output.startswith("results/")
        return
    assert anomalib.build_parser("train").parse_args(["--config", str(config)]).seed_everything == 0


def test_overlays_of_several_categories_do_not_overwrite_each_other(demo_root: Path, tmp_path: Path) -> None:
    renamed = tmp_path / "pictures"
    renamed.symlink_to(demo_root)
    config = [
        "--config",
        str(CONFIGS / "centralised" / "autovi.yaml"),
        "--model.budget=10",
        "--trainer.accelerator=cpu",
    ]
    assert main(["train", *config, f"--data.root={renamed}", f"--default_root_dir={tmp_path / 'out'}"]) == 0
    tested = [path for path in demo_root.rglob("*.png") if "test" in path.parts]
    assert len(list((tmp_path / "out").rglob("images/**/*.png"))) == len(tested)


@pytest.mark.slow
def test_sites_may_select_otherwise_than_the_detector(demo_root: Path, tmp_path: Path) -> None:
    mergeable = "--site_coreset={class_path: k_center_mergeable, init_args: {final_rows: 60}}"
    assert federate(demo_root, tmp_path, "--no-centralised", mergeable, "--site_budget={radius: 0.2, rows: 100}") == 0
    bank = MemoryBank.load(tmp_path / "federated" / "bank.safetensors")
    assert {item.coreset for item in bank.contributions} == {"k_center_mergeable"}
    assert 60 < max(item.rows for item in bank.contributions) <= 100
    assert len(bank) == 160


@pytest.mark.slow
def test_exact_federation_covers_as_pooled_training_does(federated: Path, demo_root: Path, tmp_path: Path) -> None:
    exact = "--strategy={class_path: exact_k_center, init_args: {budget: 60, candidates: 50}}"
    assert federate(demo_root, tmp_path, "--no-centralised", "--partitioner.sites=3", exact) == 0
    pooled = MemoryBank.load(federated / "centralised" / "bank.safetensors")
    bank = MemoryBank.load(tmp_path / "federated" / "bank.safetensors")
    for category, radius in pooled.covering_radius.items():
        assert len(bank.for_category(category)) == len(pooled.for_category(category)) == 60
        # They begin at different patches, which moves the radius a little.
        assert bank.covering_radius[category] == pytest.approx(radius, rel=0.06)
