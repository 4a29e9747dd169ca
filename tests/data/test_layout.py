"""Finding pictures and masks in folders as people lay them out."""

from __future__ import annotations

from pathlib import Path

import pytest

from anomalib_federated.data.layout import LayoutError, category_folder, discover_categories, mask_files, read_layout

AUTOVI = (
    "train/good/0.png",
    "train/good/1.png",
    "test/good/2.png",
    "test/scratch/3.png",
    "ground_truth/scratch/3/0000.png",
    "ground_truth/scratch/3/0001.png",
)
MVTEC = (
    "train/good/0.png",
    "test/good/1.png",
    "test/crack/2.png",
    "test/hole/2.png",
    "ground_truth/crack/2_mask.png",
    "ground_truth/hole/2.png",
)


def write(folder: Path, names: tuple[str, ...]) -> Path:
    """Files with nothing in them: the layout is read without opening any."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def table(root: Path, category: str = "screw") -> list[tuple[object, ...]]:
    samples = read_layout(root, category)
    columns = ["name", "category", "split", "label", "label_index", "mask_path"]
    rows = [tuple(row) for row in samples[columns].itertuples(index=False)]
    assert [Path(path) for path in samples["image_path"]] == [root / str(row[0]) for row in rows]
    return rows


def test_autovi_layout(tmp_path: Path) -> None:
    folder = write(tmp_path / "screw", AUTOVI)
    assert table(tmp_path) == [
        ("screw/train/good/0.png", "screw", "train", "good", 0, ""),
        ("screw/train/good/1.png", "screw", "train", "good", 0, ""),
        ("screw/test/good/2.png", "screw", "test", "good", 0, ""),
        ("screw/test/scratch/3.png", "screw", "test", "scratch", 1, str(folder / "ground_truth/scratch/3")),
    ]
    channels = folder / "ground_truth/scratch/3"
    assert mask_files(str(channels)) == [channels / "0000.png", channels / "0001.png"]


def test_mvtec_layout(tmp_path: Path) -> None:
    folder = write(tmp_path / "screw", MVTEC)
    masks = {row[3]: row[5] for row in table(tmp_path)}
    crack, hole = folder / "ground_truth/crack/2_mask.png", folder / "ground_truth/hole/2.png"
    assert masks == {"good": "", "crack": str(crack), "hole": str(hole)}
    assert mask_files(str(crack)) == [crack]


def test_zenodo_nests_a_category_in_itself(tmp_path: Path) -> None:
    folder = write(tmp_path / "screw/screw", AUTOVI)
    assert category_folder(tmp_path, "screw") == folder
    assert table(tmp_path)[0][0] == "screw/screw/train/good/0.png"
    assert discover_categories(tmp_path) == ["screw"]


def test_names_are_matched_without_regard_to_case(tmp_path: Path) -> None:
    names = ("Training/OK/0.PNG", "TEST/Good/1.Jpg", "TEST/Scratch/2.tif", "Ground_Truth/scratch/2/0000.PNG")
    folder = write(tmp_path / "screw", names)
    assert table(tmp_path) == [
        ("screw/Training/OK/0.PNG", "screw", "train", "good", 0, ""),
        ("screw/TEST/Good/1.Jpg", "screw", "test", "good", 0, ""),
        ("screw/TEST/Scratch/2.tif", "screw", "test", "Scratch", 1, str(folder / "Ground_Truth/scratch/2")),
    ]


def test_without_ground_truth_only_labels_remain(tmp_path: Path) -> None:
    write(tmp_path / "screw", ("train/good/0.png", "test/bad/1.png"))
    assert [row[3:] for row in table(tmp_path)] == [("good", 0, ""), ("bad", 1, "")]


def test_without_test_folder_there_is_only_training(tmp_path: Path) -> None:
    write(tmp_path / "screw", ("train/good/0.png",))
    assert [row[2] for row in table(tmp_path)] == ["train"]


def test_defective_training_pictures_are_listed_as_such(tmp_path: Path) -> None:
    write(tmp_path / "screw", (*AUTOVI, "train/scratch/9.png"))
    assert ("screw/train/scratch/9.png", "screw", "train", "scratch", 1, "") in table(tmp_path)


def test_a_missing_mask_is_an_error_that_names_the_picture(tmp_path: Path) -> None:
    folder = write(tmp_path / "screw", (*AUTOVI, "test/scratch/4.png"))
    with pytest.raises(LayoutError, match="has no mask") as error:
        read_layout(tmp_path, "screw")
    assert str(folder / "test/scratch/4.png") in str(error.value)
    assert str(folder / "ground_truth/scratch/4") in str(error.value)


def test_an_empty_mask_folder_is_an_error_that_names_it(tmp_path: Path) -> None:
    write(tmp_path, ("masks/notes.txt", "masks/.hidden.png"))
    with pytest.raises(LayoutError, match="masks is empty"):
        mask_files(str(tmp_path / "masks"))


@pytest.mark.parametrize("names", [("train/good/readme.txt",), ("train/scratch/0.png",), ("train/0.png",)])
def test_a_category_without_normal_training_picture_is_an_error(tmp_path: Path, names: tuple[str, ...]) -> None:
    write(tmp_path / "screw", names)
    with pytest.raises(LayoutError, match=r"'screw' has no normal training picture in .*train"):
        read_layout(tmp_path, "screw")


def test_a_category_without_train_folder_is_an_error(tmp_path: Path) -> None:
    write(tmp_path / "screw", ("test/good/0.png", "train.png"))
    with pytest.raises(LayoutError, match=r"no category 'screw' below .*screw/train nor screw/screw/train"):
        read_layout(tmp_path, "screw")
    with pytest.raises(LayoutError, match="there is no category"):
        discover_categories(tmp_path)


def test_a_missing_root_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LayoutError, match=r"no data folder .*gone; give its path as data\.root"):
        discover_categories(tmp_path / "gone")
    with pytest.raises(LayoutError, match="no category 'screw'"):
        read_layout(tmp_path / "gone", "screw")


def test_stray_and_hidden_files_are_passed_over(tmp_path: Path) -> None:
    write(tmp_path / "screw", AUTOVI)
    before = table(tmp_path)
    strays = (
        "train/good/Thumbs.db",
        "train/good/._0.png",
        "train/.cache/0.png",
        "train/good/nested/0.png",
        "test/notes.png",
        "test/scratch/.3.png",
        "test/.ipynb_checkpoints/3-checkpoint.png",
        "ground_truth/.scratch/3/0000.png",
        "ground_truth/scratch/3/._0000.png",
        "license.txt",
    )
    write(tmp_path / "screw", strays)
    write(tmp_path, ("readme.md", ".cache/train/good/0.png", "results/log.txt"))
    assert table(tmp_path) == before
    assert discover_categories(tmp_path) == ["screw"]
    assert len(mask_files(str(before[-1][5]))) == 2


def test_categories_come_in_alphabetical_order(tmp_path: Path) -> None:
    for name in ("screw", "clip", "wire"):
        write(tmp_path / name, AUTOVI)
    assert discover_categories(tmp_path) == ["clip", "screw", "wire"]
