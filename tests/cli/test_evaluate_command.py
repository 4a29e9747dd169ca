"""The command ``evaluate``, called as a user calls it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from lightning import Trainer
from PIL import Image

from anomalib_federated.bank import MemoryBank
from anomalib_federated.cli.main import main
from anomalib_federated.data import AutoVI
from anomalib_federated.evaluation.corrupted import FILE, read_corrupted
from anomalib_federated.evaluation.experiments.training import train_centralised
from anomalib_federated.evaluation.figures import HEADLINES
from anomalib_federated.evaluation.gallery.gallery import GALLERY, read_gallery
from anomalib_federated.evaluation.maps.files import write_npy
from anomalib_federated.evaluation.results import read_result, read_results, result_folder
from anomalib_federated.models import FederatedPatchcore

CATEGORIES = ("pipe_staple", "tank_screw")


@pytest.fixture(scope="module")
def bank(demo_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    datamodule = AutoVI(demo_root)
    datamodule.setup()
    # Not the default size, so that the command must find it in the bank.
    model = FederatedPatchcore(budget=60, image_size=(160, 192), visualizer=False)
    return train_centralised(model, datamodule).save(tmp_path_factory.mktemp("bank") / "bank.safetensors")


@pytest.fixture(scope="module")
def output(demo_root: Path, bank: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("output")
    arguments = ["--method=federated", f"--output={output}", "--write_maps=png16", "--resamples=50"]
    assert main(["evaluate", f"--data.root={demo_root}", f"--bank={bank}", *arguments]) == 0
    return output


def test_a_bank_is_measured_without_saying_what_its_features_are(output: Path, bank: Path) -> None:
    results = read_results(output)
    assert [(result.method, result.category) for result in results] == [("federated", name) for name in CATEGORIES]
    for result in results:
        assert set(result.figures.intervals) > {"image_auroc", "auc_spro@0.05", "tpr@tnr0.95"}
        assert result.bank.rows == 60
        assert result.settings["space"]["image_size"] == [160, 192]
        assert {"python", "anomalib-federated", "anomalib", "torch", "numpy"} <= set(result.versions)
        assert read_gallery(result_folder(output, "federated", result.category) / GALLERY)
    text = (result_folder(output, "federated", "tank_screw") / "metrics.json").read_text()
    assert json.loads(text)["localization"]["auc_spro"]["0.05"] is not None


def test_a_checkpoint_is_measured_as_its_bank_is(output: Path, bank: Path, demo_root: Path, tmp_path: Path) -> None:
    model = FederatedPatchcore(budget=60, image_size=(160, 192), visualizer=False)
    model.bank = MemoryBank.load(bank)
    trainer = Trainer(accelerator="cpu", logger=False, default_root_dir=tmp_path)
    trainer.strategy.connect(model)
    trainer.save_checkpoint(tmp_path / "model.ckpt")
    arguments = ["--method=loaded", f"--ckpt_path={tmp_path / 'model.ckpt'}", f"--output={tmp_path}", "--resamples=50"]
    assert main(["evaluate", f"--data.root={demo_root}", "--data.categories=[tank_screw]", *arguments]) == 0
    loaded = read_result(result_folder(tmp_path, "loaded", "tank_screw") / "metrics.json")
    own = read_result(result_folder(output, "federated", "tank_screw") / "metrics.json")
    assert loaded.figures == own.figures
    assert loaded.bank == own.bank


def test_the_maps_it_wrote_measure_the_same(output: Path, demo_root: Path, tmp_path: Path) -> None:
    maps = output / "maps" / "federated"
    assert {path.name for path in maps.iterdir()} == set(CATEGORIES)
    assert (maps / "tank_screw" / "scale.json").is_file()
    again = ["--method=maps", f"--maps={maps}", f"--output={tmp_path}", "--resamples=0"]
    assert main(["evaluate", f"--data.root={demo_root}", *again]) == 0
    for category in CATEGORIES:
        own = read_result(result_folder(output, "federated", category) / "metrics.json").figures
        result = read_result(result_folder(tmp_path, "maps", category) / "metrics.json")
        assert result.figures.headline("auc_spro@0.05") == pytest.approx(own.headline("auc_spro@0.05"), abs=2e-3)
        assert result.figures.operating_points == ()
        assert "bilinear" in result.settings["map_sizes"]
        assert result.bank is None
        assert not (result_folder(tmp_path, "maps", category) / GALLERY).exists()


def test_validation_maps_set_thresholds_and_fill_the_gallery(output: Path, demo_root: Path, tmp_path: Path) -> None:
    source = output / "maps" / "federated" / "tank_screw"
    for path in source.glob("test/*/*.png"):
        scores = np.asarray(Image.open(path)).astype(np.float32)
        write_npy(tmp_path / "maps" / path.relative_to(source).with_suffix(".npy"), scores)
    for index in range(20):
        write_npy(tmp_path / "maps" / "validation" / "good" / f"{index}.npy", np.full((2, 2), 1000.0 * index, "f4"))
    arguments = [
        "--method=maps",
        f"--maps={tmp_path / 'maps'}",
        f"--output={tmp_path}",
        "--data.categories=[tank_screw]",
    ]
    assert main(["evaluate", f"--data.root={demo_root}", *arguments]) == 0
    folder = result_folder(tmp_path, "maps", "tank_screw")
    points = read_result(folder / "metrics.json").figures.operating_points
    assert [point.threshold for point in points] == [19000, 19000, 18000]  # ranks 1, 1 and 2 of 20
    assert read_gallery(folder / GALLERY)[0].threshold == 19000


def test_the_table_shows_figures_with_their_intervals(
    demo_root: Path, bank: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    arguments = [f"--bank={bank}", "--method=mine", f"--output={tmp_path}", "--data.categories=[tank_screw]"]
    assert main(["evaluate", f"--data.root={demo_root}", *arguments, "--resamples=30"]) == 0
    text = capsys.readouterr().out
    figures = read_results(tmp_path)[0].figures
    interval = figures.intervals["auc_spro@0.05"]
    assert f"{figures.headline('auc_spro@0.05'):.3f}" in text
    assert f"{interval.low:.3f}-{interval.high:.3f}" in text
    assert "95% interval: 30 bootstrap resamples" in text
    assert str(tmp_path / "metrics" / "mine") in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "exactly one of --bank, --ckpt_path, --maps; given: none"),
        (["--bank=a", "--maps=b"], "given: bank, maps"),
        (["--maps=b", "--write_maps=npy"], "there already"),
        (["--maps=b", "--model.score=max"], "--model.score is a setting"),
        (["--maps=b", "--method=a/b"], "The method 'a/b' names a folder"),
        (["--maps=b", "--resamples=-1"], "give 0 or more"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main(["evaluate", "--data.root=d", "--method=m", "--output=o", *arguments])
    assert exit_info.value.code == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_what_is_not_there_is_named(
    demo_root: Path, bank: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ["evaluate", f"--data.root={demo_root}", "--method=m", f"--output={tmp_path / 'out'}"]
    for arguments in (
        [f"--bank={tmp_path / 'none.safetensors'}"],
        [f"--ckpt_path={tmp_path / 'none.ckpt'}"],
        [f"--maps={tmp_path / 'none'}"],
    ):
        assert main([*common, *arguments]) == 1
        assert "none" in capsys.readouterr().err
    assert main([*common, f"--bank={bank}", "--data.validation_share=0", "--write_maps=npy"]) == 1
    assert "no normal validation images" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_detector_is_measured_on_corrupted_pictures_too(
    demo_root: Path, bank: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    common = ["evaluate", f"--data.root={demo_root}", "--data.categories=[tank_screw]", f"--bank={bank}"]
    arguments = ["--method=mine", f"--output={tmp_path}", "--resamples=20", "--seed=3"]
    corruption = "--corruption=[high, {blur: 0, probability: 1}, {noise: 0.2}]"
    assert main([*common, *arguments, corruption]) == 0
    folder = result_folder(tmp_path, "mine", "tank_screw")
    clean, (high, nothing, noise) = read_result(folder / "metrics.json"), read_corrupted(folder / FILE).levels
    assert (high.name, nothing.name, noise.name) == ("high", "nothing", "noise 0.2, probability 1")
    assert high.corruption["seed"] == 3
    # What does nothing changes nothing: figures, intervals, and what the clean threshold does.
    assert {name: clean.figures.headline(name) for name in HEADLINES}.items() <= nothing.figures.items()
    assert nothing.intervals == clean.figures.intervals
    assert nothing.figures["tpr@clean0.95"] == nothing.figures["tpr@tnr0.95"]
    assert nothing.figures["tnr@clean0.95"] == clean.figures.operating_points[1].test_tnr
    # Noise makes every picture look odd: calibrated on clean ones, hardly any passes.
    assert noise.figures["auc_spro@0.05"] < clean.figures.headline("auc_spro@0.05")
    assert noise.figures["tnr@clean0.95"] == 0
    text = capsys.readouterr().out
    assert f"{noise.figures['auc_spro@0.05']:.3f}" in text
    assert "TNR at the" in text
    # The same as a data set that is corrupted as a whole.
    assert main([*common, "--method=noisy", *arguments[1:], "--data.test_corruption.noise=0.2"]) == 0
    noisy = read_result(result_folder(tmp_path, "noisy", "tank_screw") / "metrics.json").figures
    assert {name: noisy.headline(name) for name in HEADLINES}.items() <= noise.figures.items()


def test_corruptions_that_say_nothing_are_refused(
    demo_root: Path, bank: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ["evaluate", f"--data.root={demo_root}", "--method=m", f"--output={tmp_path / 'out'}"]
    assert main([*common, f"--bank={bank}", "--corruption=strong"]) == 1
    assert "no corruption named 'strong'; name low, medium or high" in capsys.readouterr().err
    assert main([*common, f"--bank={bank}", "--corruption=low", "--data.test_corruption=medium"]) == 1
    assert "test_corruption (medium) leaves no clean pictures" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*common, "--maps=somewhere", "--corruption=low"])
    assert "with --maps they are scored" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "out").exists()
