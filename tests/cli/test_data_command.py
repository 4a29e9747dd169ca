"""``anomalib-federated data``, called as a user calls it."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from anomalib_federated.cli.data import ACTIONS, run
from anomalib_federated.data import AutoVI
from anomalib_federated.data.partition_file import read_partition
from anomalib_federated.interfaces.partitioner import TrainingImage
from anomalib_federated_plugins.partitioner.category import CategoryPartitioner
from anomalib_federated_plugins.partitioner.from_file import FromFilePartitioner


def partition(demo_root: Path, output: Path, *arguments: str) -> int:
    return run("data", ["partition", f"--data.root={demo_root}", f"--output={output}", *arguments])


def test_help_names_every_action(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_info:
        run("data", [])
    assert exit_info.value.code == 0
    assert all(action in capsys.readouterr().out for action in ["ACTION"])
    with pytest.raises(SystemExit) as exit_info:
        run("data", ["dowload"])
    assert exit_info.value.code == 2
    text = capsys.readouterr().err
    assert all(action in text for action in ACTIONS)


def test_stats_as_table_and_as_json_agree(demo_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("data", ["stats", f"--data.root={demo_root}"]) == 0
    table = capsys.readouterr().out
    assert run("data", ["stats", f"--data.root={demo_root}", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["group"] for row in rows} >= {"good", "logical"}
    for row in rows:
        assert row["category"] in table
        size = f"{row['min_height']} x {row['min_width']}"
        assert any(
            words[0] in line and f" {row['images']} " in line and size in line
            for line in table.splitlines()
            for words in [(row["label"], row["split"])]
            if words[1] in line
        )


def test_stats_of_one_category(demo_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("data", ["stats", f"--data.root={demo_root}", "--data.categories=[tank_screw]", "--json"]) == 0
    assert {row["category"] for row in json.loads(capsys.readouterr().out)} == {"tank_screw"}


def test_partition_writes_what_the_partitioner_says(
    demo_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "p.json"
    assert partition(demo_root, path, "--partitioner=category", "--partitioner.stations=2", "--seed=4") == 0
    written = read_partition(path)
    assert (written.partitioner, written.seed) == ({"class_path": "category", "init_args": {"stations": 2}}, 4)
    names = sorted(file.relative_to(demo_root).as_posix() for file in demo_root.glob("*/train/good/*.png"))
    images = [TrainingImage(name.split("/")[0], name) for name in names]
    expected = CategoryPartitioner(stations=2).partition(images, seed=4)
    assert written.sites == {site: [names[i] for i in part] for site, part in expected.items()}
    assert list(written.sites) == sorted(written.sites)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["quality_control", "1", "(12%)", "1", "(12%)", "2", "(12%)"] in lines
    assert ["all", "8", "8", "16"] in lines


def test_a_partition_is_not_overwritten_by_another(demo_root: Path, tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    assert partition(demo_root, path, "--partitioner.sites=2") == 0
    before = path.read_bytes()
    assert partition(demo_root, path, "--partitioner.sites=2") == 0
    with pytest.raises(FileExistsError, match=r"p\.json holds something else already"):
        partition(demo_root, path, "--partitioner.sites=3")
    assert path.read_bytes() == before


@pytest.mark.parametrize("seed", [0, 1])
def test_one_file_serves_every_seed(demo_root: Path, tmp_path: Path, seed: int) -> None:
    path = tmp_path / "p.json"
    assert partition(demo_root, path, "--partitioner=dirichlet", "--partitioner.sites=2") == 0
    datamodule = AutoVI(demo_root, seed=seed, validation_share=0.25)
    datamodule.setup()
    samples = datamodule.train_data.samples
    images = [TrainingImage(*pair) for pair in zip(samples["category"], samples["name"], strict=True)]
    parts = FromFilePartitioner(path=path).partition(images, seed=seed)
    assert sum(map(len, parts.values())) == len(images) == 12
    listed = read_partition(path).sites
    assert all(images[i].name in listed[site] for site, part in parts.items() for i in part)


def test_demo_draws_what_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counts = ["--scale=0.05", "--train_images=3", "--good_images=2", "--images_per_defect=1"]
    assert run("data", ["demo", f"--data.root={tmp_path / 'd'}", "--data.categories=[pipe_clip]", *counts]) == 0
    assert str(tmp_path / "d") in capsys.readouterr().out
    pictures = [path.relative_to(tmp_path / "d").parts[:3] for path in (tmp_path / "d").glob("*/t*/*/*.png")]
    assert sorted(pictures) == [
        ("pipe_clip", "test", "good"),
        ("pipe_clip", "test", "good"),
        ("pipe_clip", "test", "operator"),
        ("pipe_clip", "test", "unclipped"),
        *[("pipe_clip", "train", "good")] * 3,
    ]


def test_download_leaves_what_is_there_and_checks_zips(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pipe_clip").mkdir()
    assert run("data", ["download", f"--data.root={tmp_path}", "--data.categories=[pipe_clip]"]) == 0
    assert str(tmp_path / "pipe_clip") in capsys.readouterr().out
    with zipfile.ZipFile(tmp_path / "tank_screw.zip", "w") as packed:
        packed.writestr("train/good/0.png", b"not the published one")
    with pytest.raises(ValueError, match=r"not [0-9a-f]{64} as published"):
        run("data", ["download", f"--data.root={tmp_path}", "--data.categories=[tank_screw]"])
