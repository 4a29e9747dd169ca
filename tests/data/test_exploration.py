"""What a data set holds."""

from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from anomalib_federated.data.exploration import count_by_site, survey, training_images
from anomalib_federated.data.layout import LayoutError
from anomalib_federated.interfaces.partitioner import TrainingImage


def test_the_survey_counts_every_file(demo_root: Path) -> None:
    found = survey(demo_root)
    pictures = Counter(
        path.relative_to(demo_root).parts[:3] for path in demo_root.rglob("*.png") if "ground_truth" not in path.parts
    )
    counts = dict(
        zip(zip(found["category"], found["split"], found["label"], strict=True), found["images"], strict=True)
    )
    assert counts == pictures
    masks = sum("ground_truth" in path.parts for path in demo_root.rglob("*.png"))
    assert found["channels"].sum() == masks > 0


def test_sizes_are_those_that_a_viewer_shows(tmp_path: Path) -> None:
    folder = tmp_path / "nut" / "train" / "good"
    folder.mkdir(parents=True)
    Image.new("L", (30, 20)).save(folder / "a.png")
    sideways = Image.Exif()
    sideways[0x0112] = 6  # shown turned by a quarter
    Image.new("RGB", (50, 40)).save(folder / "b.jpg", exif=sideways)
    (row,) = survey(tmp_path).to_dict("records")
    assert [row[name] for name in ("min_height", "max_height", "min_width", "max_width")] == [20, 50, 30, 40]
    assert row["images"] == 2


def test_a_broken_picture_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "nut" / "train" / "good"
    folder.mkdir(parents=True)
    (folder / "a.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"a\.png cannot be read"):
        survey(tmp_path)


def test_all_normal_training_images_are_listed(demo_root: Path) -> None:
    expected = {path.relative_to(demo_root).as_posix() for path in demo_root.glob("*/train/good/*.png")}
    images = training_images(demo_root)
    assert {image.name for image in images} == expected
    assert len(images) == len(expected)
    assert {image.category for image in training_images(demo_root, ["tank_screw"])} == {"tank_screw"}
    with pytest.raises(LayoutError, match="no category 'brake'"):
        training_images(demo_root, ["brake"])


def test_images_are_counted_by_site_and_category() -> None:
    images = [TrainingImage(c, f"{c}/{i}.png") for c, n in (("wing", 3), ("nut", 2)) for i in range(n)]
    counts = count_by_site(images, {"south": [0, 1, 4], "north": [2, 3]})
    assert counts.to_dict("index") == {"south": {"nut": 1, "wing": 2}, "north": {"nut": 1, "wing": 1}}
