"""Groups and sites through the commands, called as a user calls them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from anomalib_federated.cli.main import main
from anomalib_federated.data import AutoVI
from anomalib_federated.data.grouping import Grouping, Picture
from anomalib_federated.evaluation.experiments.training import train_centralised
from anomalib_federated.evaluation.fairness.dividing import divisions_of, held_out_distances
from anomalib_federated.evaluation.fairness.fairness_file import read_all_fairness, read_fairness, write_fairness
from anomalib_federated.evaluation.measuring.source import source_of_maps, source_of_model
from anomalib_federated.evaluation.results import read_results, result_folder, write_result
from anomalib_federated.models import FederatedPatchcore
from tests.evaluation.made_results import made_result
from tests.evaluation.test_fairness_file import made_fairness

PATTERN = r"{pattern: '(?P<group>\d)\.png$'}"


@pytest.fixture(scope="module")
def datamodule(demo_root: Path) -> AutoVI:
    datamodule = AutoVI(demo_root, ["tank_screw"], validation_share=0.4)
    datamodule.setup()
    return datamodule


@pytest.fixture(scope="module")
def model(datamodule: AutoVI) -> FederatedPatchcore:
    model = FederatedPatchcore(budget=40, image_size=(96, 96), visualizer=False)
    model.bank = train_centralised(model, datamodule)
    return model


@pytest.fixture(scope="module")
def output(
    demo_root: Path, model: FederatedPatchcore, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, list[str]]:
    folder = tmp_path_factory.mktemp("output")
    bank = model.bank.save(folder / "bank.safetensors")
    common = [
        "evaluate", f"--data.root={demo_root}", "--data.categories=[tank_screw]", "--data.validation_share=0.4",
        f"--bank={bank}", "--resamples=20", "--method=mine",
    ]  # fmt: skip
    return folder, common


def test_evaluate_measures_groups_and_sites(
    output: tuple[Path, list[str]], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, common = output
    monkeypatch.setenv("COLUMNS", "80")
    sites = ["--partitioner=by_pattern", r"--partitioner.pattern=(?P<site>\d)\.png$"]
    assert main([*common, f"--output={folder}", f"--groups={PATTERN}", *sites]) == 0
    text = capsys.readouterr().out
    (fairness,) = read_all_fairness(folder)
    assert [division.by for division in fairness.divisions] == ["site", "group", "defect type"]
    by_site, by_group, _ = fairness.divisions
    assert [replace(group, name="") for group in by_site.groups] == [
        replace(group, name="") for group in by_group.groups
    ]
    (result,) = read_results(folder)
    counts = result.figures.counts
    assert sum(group.good for group in by_group.groups) == counts.good
    assert sum(group.defective for group in by_group.groups) == counts.defective
    held_out = [group.held_out for group in by_group.groups]
    assert sum(held_out) == len(result.figures.validation_scores) > 1
    distances = [group.figures["covering_radius"] for group in by_group.groups if group.held_out]
    assert all(distance > 0 for distance in distances)
    assert result.settings["groups"] == {"pattern": r"(?P<group>\d)\.png$"}
    assert "mine, tank_screw by group" in text
    assert "mine, tank_screw by site" in text
    assert f"{by_group.groups[0].figures['image_auroc']:.3f}" in text
    assert max(map(len, text.split("All figures lie")[0].splitlines())) <= 80


def test_without_groups_types_of_defects_are_measured_and_no_table_is_printed(
    output: tuple[Path, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, common = output
    assert main([*common, f"--output={tmp_path}"]) == 0
    (fairness,) = read_all_fairness(tmp_path)
    (division,) = fairness.divisions
    assert division.by == "defect type"
    assert len(division.groups) > 1
    assert all(group.held_out == 0 for group in division.groups)
    assert " by " not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        (r"{pattern: '^(?P<group>exp\d)_'}", "names no group for the picture"),
        (r"{pattern: '(\d)'}", "(?P<group>...)"),
        ("{colour: red}", "are not understood"),
    ],
)
def test_groups_that_cannot_be_told_are_refused_before_anything_is_written(
    output: tuple[Path, list[str]], tmp_path: Path, groups: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _, common = output
    assert main([*common, f"--output={tmp_path / 'out'}", f"--groups={groups}"]) == 1
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


class ByBrightness(Grouping):
    """Needs features and is taught by training pictures."""

    needs_features = True

    def __init__(self, middle: float | None = None) -> None:
        self.middle = middle

    def fit(self, pictures: list[Picture]) -> Grouping:
        assert {picture.name.split("/")[1] for picture in pictures} == {"train"}
        values = sorted(float(picture.feature.mean()) for picture in pictures)
        return ByBrightness(values[len(values) // 2])

    def group_of(self, picture: Picture) -> str:
        return "high" if float(picture.feature.mean()) >= self.middle else "low"


def test_groups_that_are_found_learn_from_training_pictures_alone(
    datamodule: AutoVI, model: FederatedPatchcore, tmp_path: Path
) -> None:
    source = source_of_model(model, datamodule)
    found, types = divisions_of(source, "tank_screw", groups=ByBrightness())
    assert set(found.groups) == {
        "/".join(Path(path).parts[-3:])
        for data in (datamodule.test_data, datamodule.val_data)
        for path in data.samples["image_path"]
    }
    assert set(found.groups.values()) <= {"high", "low"}
    assert set(held_out_distances(source, "tank_screw", [found])) == {
        name for name in found.groups if name.startswith("train/")
    }
    assert held_out_distances(source, "tank_screw", [types]) == {}
    with pytest.raises(ValueError, match="need a detector"):
        divisions_of(source_of_maps(tmp_path, datamodule), "tank_screw", groups=ByBrightness())


def test_distances_are_those_by_which_pictures_are_scored(datamodule: AutoVI, model: FederatedPatchcore) -> None:
    source = source_of_model(model, datamodule)  # scores by the largest distance, by default smoothed or not
    (found, _) = divisions_of(source, "tank_screw", groups=Grouping.of({"by": "category"}))
    distances = held_out_distances(source, "tank_screw", [found])
    assert len({len(own) for own in distances.values()}) == 1
    rows = model.bank.for_category("tank_screw").features.float()
    name, own = next(iter(distances.items()))
    (position,) = [at for at, path in enumerate(datamodule.val_data.samples["image_path"]) if path.endswith(name)]
    image = model.pre_processor.transform(datamodule.val_data[position].image[None])
    patches = model.model(image)[0].flatten(1).T
    brute = (patches[:, None] - rows[None]).norm(dim=2).min(dim=1).values
    assert own == pytest.approx(brute.detach().numpy(), abs=1e-3)


def test_compare_tells_the_worst_groups(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for method, low in (("centralised", 0.7), ("federated", 0.4)):
        for category in ("nut", "screw"):
            write_result(tmp_path, made_result(method, category, 0.8, auroc=0.9))
        write_fairness(tmp_path, made_fairness(low, 0.9, method=method, category="nut"))
        write_fairness(tmp_path, made_fairness(0.8, 0.9, None, method=method, category="screw"))
    assert main(["compare", str(tmp_path), "--figures", "image_auroc"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["federated", "group", "nut:", "a", "0.400", "0.300"] in rows
    assert ["centralised", "group", "nut:", "a", "0.700", "0.150"] in rows
    assert ["federated", "category", "nut", "0.900", "0.000"] in rows


def test_a_broken_file_stops_compare_before_it_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_result(tmp_path, made_result("centralised", "nut", 0.8))
    path = write_fairness(tmp_path, made_fairness(0.5, 0.9, method="centralised", category="nut"))
    path.write_text(path.read_text().replace("0.5", '"high"', 1))
    assert main(["compare", str(tmp_path)]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert str(path) in captured.err


def test_an_experiment_measures_the_pooled_detector_by_groups_and_sites_too(
    demo_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sites = "{class_path: by_pattern, init_args: {pattern: '^(?P<site>s)'}}"  # one: it is short
    arguments = [
        "experiment", f"--data.root={demo_root}", "--data.categories=[tank_screw]", f"--output={tmp_path}",
        "--model.budget=30", "--model.image_size=[96,96]", "--resamples=0",
        f"--methods={{centralised: {{}}, by_line: {{partitioner: {sites}, groups: {PATTERN}}}}}",
    ]  # fmt: skip
    assert main(arguments) == 0
    pooled, by_line = (
        read_fairness(result_folder(tmp_path / "seed_0", method, "tank_screw") / "fairness.json")
        for method in ("centralised", "by_line")
    )
    for by in ("site", "group"):
        names = [group.name for group in pooled.by(by).groups]
        assert names == [group.name for group in by_line.by(by).groups] != []
    rows = [line.split()[:2] for line in capsys.readouterr().out.splitlines()]
    assert ["centralised", "group"] in rows
    assert ["by_line", "group"] in rows
