"""A whole experiment: finished cells stay, killed ones go on, failed ones are named."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from anomalib_federated.bank import MemoryBank
from anomalib_federated.cli.main import main
from anomalib_federated.data.corruption import Corruption
from anomalib_federated.evaluation.corrupted import read_all_corrupted
from anomalib_federated.evaluation.experiments.methods import ExperimentError, Method
from anomalib_federated.evaluation.results import Result, read_results


def configuration(demo_root: Path, folder: Path, **changed: object) -> Path:
    """An experiment of four cells."""
    content = {
        "seeds": [0, 1],
        "data": {
            "class_path": "anomalib_federated.data.AutoVI",
            "init_args": {"root": str(demo_root), "categories": ["tank_screw"]},
        },
        "model": {
            "class_path": "anomalib_federated.models.FederatedPatchcore",
            "init_args": {"budget": 30, "image_size": [128, 128], "visualizer": False},
        },
        "methods": {
            "centralised": {},
            "iid": {
                "partitioner": {"class_path": "iid", "init_args": {"sites": 2}},
                "strategy": {"class_path": "federated_coreset", "init_args": {"budget": 30}},
            },
        },
        "resamples": 20,
        **changed,
    }
    file = folder / "experiment.yaml"
    file.write_text(yaml.safe_dump(content))
    return file


def run(config: Path, output: Path, *arguments: str) -> int:
    return main(["experiment", "--config", str(config), f"--output={output}", *arguments])


def written(output: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in sorted(output.glob("seed_*/metrics/*/*/metrics.json"))}


def figures(output: Path) -> list[tuple[object, ...]]:
    return [
        (result.method, result.category, result.seed, result.figures, result.settings)
        for result in read_results(output)
    ]


@pytest.fixture(scope="module")
def finished(demo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("experiment")
    assert run(configuration(demo_root, output), output) == 0
    return output


def test_every_cell_is_written_with_its_bank(finished: Path) -> None:
    results = read_results(finished)
    assert [(result.method, result.seed) for result in results] == [
        ("centralised", 0), ("centralised", 1), ("iid", 0), ("iid", 1),
    ]  # fmt: skip
    for result in results:
        folder = finished / f"seed_{result.seed}" / result.method / "tank_screw"
        bank = MemoryBank.load(folder / "bank.safetensors")
        assert result.bank is not None
        assert (result.bank.rows, result.bank.covering_radius) == (30, bank.covering_radius["tank_screw"])
        assert (result.bank.bytes_sent > 0) == (result.method == "iid")
        assert sum(site.rows for site in result.bank.sites) == 30
        assert len(list(folder.glob("sites/*"))) == (2 if result.method == "iid" else 0)
    assert not list(finished.glob("seed_*/work/*/*"))


def test_seeds_are_used(finished: Path) -> None:
    banks = [
        MemoryBank.load(finished / f"seed_{seed}" / "centralised" / "tank_screw" / "bank.safetensors")
        for seed in (0, 1)
    ]
    assert banks[0].digest != banks[1].digest


def test_finished_cells_are_not_computed_again(
    finished: Path, demo_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = written(finished)
    assert run(configuration(demo_root, tmp_path), finished) == 0
    assert written(finished) == before
    assert "0 cells computed, 4 finished before" in " ".join(capsys.readouterr().out.split())


@pytest.mark.slow
def test_a_killed_experiment_ends_as_if_nothing_had_happened(finished: Path, demo_root: Path, tmp_path: Path) -> None:
    output = tmp_path / "killed"
    config = configuration(demo_root, tmp_path)
    arguments = ["experiment", "--config", str(config), f"--output={output}"]
    child = subprocess.Popen([sys.executable, "-m", "anomalib_federated.cli.main", *arguments])
    try:
        # In the second cell: the first is finished, the features of the second are being written.
        while not list(output.glob("seed_0/work/iid/tank_screw/*/*/pictures.jsonl")):
            assert child.poll() is None, "it ended before it could be killed"
            time.sleep(0.005)
    finally:
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
    first = written(output)
    assert [path.parts[-3] for path in first] == ["centralised"]
    assert run(config, output) == 0
    assert {path: time for path, time in written(output).items() if path in first} == first
    assert figures(output) == figures(finished)


def test_a_failing_cell_is_named_and_stops_no_other(
    demo_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = {
        "broken": {"partitioner": {"class_path": "iid", "init_args": {"sites": 999}}},
        "centralised": {},
    }
    config = configuration(demo_root, tmp_path, methods=broken, seeds=[0])
    assert run(config, tmp_path / "out") == 1
    told = " ".join(capsys.readouterr().out.split())
    assert "broken, tank_screw, seed 0 failed: ValueError: " in told
    assert "cannot be shared among 999 sites" in told
    assert [result.method for result in read_results(tmp_path / "out")] == ["centralised"]
    assert "Traceback" in (tmp_path / "out/seed_0/metrics/broken/tank_screw/error.txt").read_text()
    mended = broken | {"broken": {"partitioner": {"class_path": "iid", "init_args": {"sites": 2}}}}
    before = written(tmp_path / "out")
    assert run(configuration(demo_root, tmp_path, methods=mended, seeds=[0]), tmp_path / "out") == 0
    assert before.items() <= written(tmp_path / "out").items()
    assert not list((tmp_path / "out").glob("**/error.txt"))


def test_a_cell_of_other_settings_is_refused(
    finished: Path, demo_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = written(finished)
    assert run(configuration(demo_root, tmp_path), finished, "--model.budget=31") == 1
    assert "was computed with other settings" in capsys.readouterr().err
    assert written(finished) == before


@pytest.mark.parametrize(
    ("methods", "problem"),
    [
        ({"a/b": {}}, "'a/b' names a folder; use letters"),
        ({"a": {"partitoner": "iid"}}, "has no setting 'partitoner'"),
        ({"a": {"strategy": "concatenate"}}, "has no partitioner"),
        ({"a": {"model": {"buget": 3}}}, "changes the model's 'buget'"),
        ({"a": {"train_corruption": "odd"}}, "no corruption named 'odd'"),
        ({}, "has no cell"),
    ],
)
def test_mistakes_come_to_light_before_anything_runs(
    demo_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], methods: dict[str, object], problem: str
) -> None:
    assert run(configuration(demo_root, tmp_path, methods=methods), tmp_path / "out") == 1
    assert problem in capsys.readouterr().err
    assert not list((tmp_path / "out").glob("seed_*"))


def test_a_method_may_change_the_model(demo_root: Path, tmp_path: Path) -> None:
    methods = {"random": {"model": {"coreset": "random", "budget": 12}}}
    assert run(configuration(demo_root, tmp_path, methods=methods, seeds=[0]), tmp_path / "out") == 0
    (result,) = read_results(tmp_path / "out")
    assert isinstance(result, Result)
    assert result.bank is not None
    assert result.bank.rows == 12
    assert result.settings["method"] == {"model": {"coreset": "random", "budget": 12}}


def test_a_method_of_python_is_checked_like_one_of_a_file() -> None:
    with pytest.raises(ExperimentError, match="has no setting 'sites'"):
        Method.of("iid", {"sites": 3})


def test_methods_are_trained_and_measured_on_corrupted_pictures(
    finished: Path, demo_root: Path, tmp_path: Path
) -> None:
    noisy, sites = {"preset": "high", "probability": 1}, {"class_path": "iid", "init_args": {"sites": 2}}
    methods = {"pooled": {"train_corruption": noisy}, "sites": {"partitioner": sites, "train_corruption": noisy}}
    config = configuration(demo_root, tmp_path, methods=methods, seeds=[0], corruption=[noisy])
    assert run(config, tmp_path / "out") == 0
    results = {result.method: result for result in read_results(tmp_path / "out")}
    for folder, clean in (("pooled", "centralised"), ("sites", "iid")):
        own, other = (
            MemoryBank.load(where / "tank_screw" / "bank.safetensors")
            for where in (tmp_path / "out" / "seed_0" / folder, finished / "seed_0" / clean)
        )
        assert own.digest != other.digest
    assert results["pooled"].settings["method"] == {"model": {}, "train_corruption": noisy}
    assert results["sites"].settings["method"]["train_corruption"] == noisy
    assert results["pooled"].settings["corruption"] == [noisy]
    corrupted = read_all_corrupted(tmp_path / "out")
    assert [(each.method, each.levels[0].name) for each in corrupted] == [
        (name, Corruption.of(noisy).words) for name in methods
    ]
    assert all(each.levels[0].figures["image_auroc"] is not None for each in corrupted)
    before = written(tmp_path / "out")
    assert run(config, tmp_path / "out") == 0
    assert written(tmp_path / "out") == before
    assert run(configuration(demo_root, tmp_path, methods=methods, seeds=[0]), tmp_path / "out") == 1
