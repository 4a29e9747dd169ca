"""The command ``explain``, called as a user calls it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anomalib_federated.bank import MemoryBank
from anomalib_federated.cli.main import main
from anomalib_federated.evaluation.faithfulness.faithfulness_file import read_all_faithfulness
from anomalib_federated.explanations.explanation_file import read_explanations
from anomalib_federated.testing.example_case import CATEGORY, example_model, example_picture

CONFIG = Path(__file__).parents[2] / "configs" / "explain" / "magnetic_tile.yaml"
PLUGINS = "anomalib_federated_plugins.explainer"
ALL = {
    "Overlay": "overlay",
    "NearestNormal": "nearest_normal",
    "GradCam": "gradcam",
    "ExactShapley": "shapley_exact",
}
QUICK = "[" + ", ".join(f"{PLUGINS}.{module}.{name}" for name, module in ALL.items()) + "]"


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return example_model().bank.save(tmp_path_factory.mktemp("bank") / "bank.safetensors")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of one category: four training pictures, two good ones and two with a spot."""
    root = tmp_path_factory.mktemp("data")
    for number in range(8):
        defect = number >= 6
        folder = root / CATEGORY / ("train/good" if number < 4 else "test/spot" if defect else "test/good")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(example_picture(defect=defect, seed=number)).save(folder / f"{number}.png")
        if defect:
            mask = root / CATEGORY / "ground_truth" / "spot" / str(number) / "0000.png"
            mask.parent.mkdir(parents=True)
            Image.fromarray((example_picture(defect=True) == 250).all(2).astype(np.uint8) * 255).save(mask)
    return root


def test_a_configuration_explains_the_highest_scores_and_is_not_computed_twice(
    root: Path, bank: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [f"--data.root={root}", f"--data.categories=[{CATEGORY}]", f"--bank={bank}", f"--output={tmp_path}"]
    arguments = ["explain", "--config", str(CONFIG), *paths, "--images_per_category=2"]
    quick = [f"--explainers={QUICK}"]
    assert main([*arguments, *quick]) == 0
    told = read_explanations(tmp_path)
    names = {f"spot_{number}_{method}" for number in (6, 7) for method in ALL}
    assert {path.stem for path in told} == names
    for path, each in told.items():
        assert path.parent == tmp_path / "interpretability" / CATEGORY
        assert Image.open(path.with_suffix(".png")).width == 960
        assert each.threshold is not None
        assert each.private == (each.method == "NearestNormal")  # the training pictures are the site's own
    before = {path: path.stat().st_mtime_ns for path in told}
    next(iter(told)).write_text("{}")
    capsys.readouterr()
    assert main([*arguments, *quick]) == 0
    assert "1 explanations made, 7 were there already" in capsys.readouterr().out
    assert read_explanations(tmp_path) == told
    after = {path: path.stat().st_mtime_ns for path in told}
    assert [path for path in before if before[path] != after[path]] == [next(iter(told))]
    assert main([*arguments, *quick, "--seed=1"]) == 0
    assert "8 explanations made" in capsys.readouterr().out


def test_images_of_no_data_set_are_explained_without_threshold(bank: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    for seed in (1, 2):
        Image.fromarray(example_picture(seed=seed)).save(own / f"{seed}.png")
    Image.fromarray(example_picture(defect=True)).save(tmp_path / "part.png")
    arguments = [f"--bank={bank}", f"--category={CATEGORY}", f"--output={tmp_path}", f"--normal={own}"]
    nearest = f"--explainers=[{{class_path: {PLUGINS}.nearest_normal.NearestNormal, init_args: {{patches: 1}}}}]"
    assert main(["explain", "--images", str(tmp_path / "part.png"), *arguments, nearest]) == 0
    ((path, told),) = read_explanations(tmp_path).items()
    assert path.name == "part_NearestNormal.json"
    assert told.threshold is None
    assert told.settings["patches"] == 1
    assert told.facts["patches"][0]["own_normal"][0]["picture"] in {"1.png", "2.png"}
    assert json.loads(path.read_text())["private"] is True


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--category=nut", "--images", "{part}"], "The bank holds no category 'nut'"),
        (["--category=screw", "--images", "/nowhere/a.png"], "There is no picture /nowhere/a.png"),
        (["--category=screw", "--images", "{tiny}"], "too small to score"),
        (["--category=screw", "--images", "{text}"], "cannot be read"),
        (["--category=screw", "--images", "{part}", "--normal=/nowhere"], "no folder at /nowhere"),
        (["--category=screw", "--images", "{part}", "{part}"], "would both be written as part"),
        (["--category=screw", "--images", "{part}", "--explainers=[overlai]"], "no explainer plugin named 'overlai'"),
        (
            ["--category=screw", "--images", "{part}", f"--explainers=[{PLUGINS}.overlay.Overlay, a.Overlay]"],
            "cannot be imported",
        ),
        (
            [
                "--category=screw",
                "--images",
                "{part}",
                f"--explainers=[{{class_path: {PLUGINS}.gradcam.GradCam, init_args: {{layer: x}}}}]",
            ],
            "The explainer 'GradCam' cannot explain part.png: The detector uses no layer 'x'",
        ),
    ],
    ids=["category", "file", "size", "format", "normal", "twice", "name", "class", "layer"],
)
def test_mistakes_are_told_in_one_sentence(
    bank: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], problem: str
) -> None:
    files = {name: tmp_path / f"{name}.png" for name in ("part", "tiny", "text")}
    Image.fromarray(example_picture()).save(files["part"])
    unsized = bank
    if "{tiny}" in arguments:
        # Resized pictures are never too small; those of a bank that leaves sizes alone may be.
        model = example_model()
        loaded = MemoryBank.load(bank)
        from dataclasses import replace

        unsized = replace(loaded, space=replace(model.space, image_size=None)).save(tmp_path / "native.safetensors")
    Image.fromarray(example_picture(size=(16, 16))).save(files["tiny"])
    files["text"].write_text("no picture")
    given = [
        argument.format(**files) if argument[0] == "{" and argument[1] != "c" else argument for argument in arguments
    ]
    explainers = [] if any("explainers" in argument for argument in given) else [f"--explainers={QUICK}"]
    assert main(["explain", *given, f"--bank={unsized}", f"--output={tmp_path / 'out'}", *explainers]) == 1
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert message.startswith("anomalib-federated explain: ")
    assert problem in message
    assert not list(tmp_path.glob("out/**/*.json"))


def test_explanations_are_measured_on_defective_pictures(
    root: Path, bank: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [f"--data.root={root}", f"--data.categories=[{CATEGORY}]", f"--bank={bank}", f"--output={tmp_path}"]
    module = "anomalib_federated.testing.fake_explainers"
    explainers = f"[{PLUGINS}.overlay.Overlay, {module}.EdgeDetector]"
    arguments = ["explain", *paths, f"--explainers={explainers}", "--images_per_category=1", "--measure=5"]
    assert main(arguments) == 0
    (result,) = read_all_faithfulness(tmp_path)
    assert {picture.name for picture in result.pictures} == {"test/spot/6.png", "test/spot/7.png"}  # there are no more
    assert [method.explainer for method in result.methods] == ["Overlay", "EdgeDetector"]
    overlay, edges = result.methods
    assert overlay.explained == 2
    assert overlay.pointing.mean == 1
    assert overlay.bank.correlation.mean < edges.bank.correlation.mean
    assert edges.bank.correlation.mean == edges.backbone.correlation.mean == pytest.approx(1)
    assert not edges.passed
    assert "EdgeDetector" in capsys.readouterr().out
    assert len(read_explanations(tmp_path)) == 2  # figures in the same folder are no explanation


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--output=o"], "either --bank or --ckpt_path"),
        (["--bank=b", "--ckpt_path=c", "--output=o"], "either --bank or --ckpt_path"),
        (["--bank=b", "--output=o", "--images", "a.png"], "name it with --category"),
        (["--bank=b", "--output=o", "--category=screw"], "--category is that of --images"),
        (["--bank=b", "--output=o", "--normal=n"], "--normal goes with --images"),
        (["--bank=b", "--output=o", "--images_per_category=0"], "give at least 1"),
        (["--bank=b", "--output=o", "--explainers=[]"], "--explainers is empty"),
        (["--bank=b", "--output=o", "--measure=-1"], "--measure is -1"),
        (["--bank=b", "--output=o", "--images", "a.png", "--category=screw", "--measure=2"], "without --images"),
        (["--ckpt_path=c", "--output=o", "--model.score=max"], "a setting of a detector made from a --bank"),
    ],
)
def test_options_that_do_not_go_together_end_with_the_usage(
    capsys: pytest.CaptureFixture[str], arguments: list[str], problem: str
) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main(["explain", *arguments])
    assert exit_info.value.code == 2
    assert problem in capsys.readouterr().err
