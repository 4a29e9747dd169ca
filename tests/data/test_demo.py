"""The demo data set: layout, masks, determinism and refusals."""

from __future__ import annotations

import doctest
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from anomalib_federated.data.demo import canvas as canvas_module
from anomalib_federated.data.demo import make_demo_dataset, writing
from anomalib_federated.data.demo.canvas import Canvas
from anomalib_federated.data.demo.defects import paint_structural
from anomalib_federated.data.demo.lighting import SITES, photograph, surface

# Written out again, so that a slip in the catalog shows.
TYPES = {
    "engine_wiring": {"blue_hoop", "fastening", "cardboard", "obstruction", "multiple"},
    "pipe_clip": {"unclipped", "operator"},
    "pipe_staple": {"missing", "scratch"},
    "tank_screw": {"missing", "scratch"},
    "underbody_pipes": {"obstruction", "operator", "multiple"},
    "underbody_screw": {"missing", "scratch"},
}
SCALE = 0.08
SIZES = dict.fromkeys(TYPES, (32, 32)) | dict.fromkeys(("tank_screw", "underbody_pipes", "underbody_screw"), (80, 60))


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("demo") / "made" / "here"
    return make_demo_dataset(root, scale=SCALE, train_images=6, good_images=5, images_per_defect=4)


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def _bytes(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def _masks(root: Path, category: str) -> list[tuple[Path, np.ndarray]]:
    return [(path, np.asarray(Image.open(path))) for path in sorted((root / category / "ground_truth").rglob("*.png"))]


def test_the_layout_is_complete(demo: Path) -> None:
    assert _names(demo) == set(TYPES)
    for category, types in TYPES.items():
        folder = demo / category
        assert _names(folder) == {"train", "test", "ground_truth", "defects_config.json"}
        assert _names(folder / "train") == {"good"}
        assert len(_names(folder / "train" / "good")) == 6
        assert _names(folder / "test") == types | {"good"}
        assert len(_names(folder / "test" / "good")) == 5
        assert _names(folder / "ground_truth") == types
        for kind in types:
            images = {path.stem for path in (folder / "test" / kind).iterdir()}
            assert len(images) == 4
            assert _names(folder / "ground_truth" / kind) == images
            for stem in images:
                masks = sorted(_names(folder / "ground_truth" / kind / stem))
                assert masks == [f"{number:04d}.png" for number in range(len(masks))]
                assert masks


def test_images_have_the_scaled_size_and_are_rgb(demo: Path) -> None:
    for category, size in SIZES.items():
        for path in (demo / category).rglob("*.png"):
            with Image.open(path) as image:
                assert (image.size, image.mode) == (size, "RGB"), path


@pytest.mark.parametrize("category", TYPES)
def test_each_mask_has_one_known_value(demo: Path, category: str) -> None:
    config = json.loads((demo / category / "defects_config.json").read_text(encoding="utf-8"))
    names = {entry["pixel_value"]: entry["defect_name"] for entry in config}
    assert len(names) == len(config)
    for path, mask in _masks(demo, category):
        assert (mask == mask[:, :, :1]).all(), path
        values = set(np.unique(mask)) - {0}
        assert len(values) == 1, path
        name = names[int(values.pop())]
        kind = path.parent.parent.name
        assert kind in ("multiple", name), path


@pytest.mark.parametrize("category", ["engine_wiring", "underbody_pipes"])
def test_multiple_has_several_defects_and_some_overlap(demo: Path, category: str) -> None:
    overlaps = 0
    for image in (demo / category / "ground_truth" / "multiple").iterdir():
        masks = [np.asarray(Image.open(path))[:, :, 0] for path in sorted(image.iterdir())]
        assert len({int(mask.max()) for mask in masks}) >= 2
        overlaps += bool(((np.stack(masks) > 0).sum(axis=0) > 1).any())
    assert overlaps


def test_both_kinds_of_saturation_in_each_category(demo: Path, tmp_path: Path) -> None:
    half = make_demo_dataset(tmp_path, scale=SCALE / 2, train_images=1, good_images=1, images_per_defect=1)
    for category in TYPES:
        entries = json.loads((demo / category / "defects_config.json").read_text(encoding="utf-8"))
        small = json.loads((half / category / "defects_config.json").read_text(encoding="utf-8"))
        assert {entry["relative_saturation"] for entry in entries} == {True, False}
        for entry, other in zip(entries, small, strict=True):
            threshold = entry["saturation_threshold"]
            if entry["relative_saturation"]:
                assert isinstance(threshold, float)
                assert 0 < threshold <= 1
                assert other["saturation_threshold"] == threshold
            else:
                assert isinstance(threshold, int)
                assert threshold >= 1
                # Half the side is a quarter of the area; both counts are rounded.
                assert abs(other["saturation_threshold"] - threshold / 4) <= 1


def test_sites_are_named_and_evenly_spread(demo: Path) -> None:
    for folder in (folder for category in TYPES for folder in (demo / category).glob("t*/*")):
        sites = Counter(path.stem.split("_")[0] for path in folder.iterdir())
        assert set(sites) <= {"s1", "s2", "s3", "s4", "s5"}
        assert max(sites.values()) <= -(-sites.total() // 5), folder
    assert len({path.stem for path in (demo / "pipe_clip" / "train" / "good").iterdir()}) == 6


def test_sites_see_the_same_part_differently() -> None:
    rng = np.random.default_rng(0)
    part = surface(rng, (64, 48), (120, 120, 120), roughness=0.1)
    views = [photograph(part, site, np.random.default_rng(1)).astype(float).mean(axis=(0, 1)) for site in SITES]
    for first in range(len(views)):
        for second in range(first):
            assert np.abs(views[first] - views[second]).max() > 3
            assert np.abs(views[first] - views[second]).max() < 45


def test_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    def draw(name: str, seed: int) -> dict[str, bytes]:
        counts = {"train_images": 2, "good_images": 1, "images_per_defect": 2}
        return _bytes(make_demo_dataset(tmp_path / name, seed=seed, scale=SCALE, **counts))

    first, second, other = draw("a", 3), draw("b", 3), draw("c", 4)
    assert first == second
    assert first.keys() >= other.keys() - {name for name in other if "ground_truth" in name}
    assert all(first[name] != other[name] for name in first if "/train/" in name)


def test_other_counts_and_categories_change_no_image(demo: Path, tmp_path: Path) -> None:
    categories = ["underbody_screw", "engine_wiring"]
    few = make_demo_dataset(
        tmp_path, categories=categories, scale=SCALE, train_images=4, good_images=2, images_per_defect=3
    )
    assert _names(few) == set(categories)
    everything = _bytes(demo)
    subset = _bytes(few)
    assert len(subset) > 30
    assert all(everything[name] == content for name, content in subset.items())


def test_all_images_differ(demo: Path) -> None:
    images = [content for name, content in _bytes(demo).items() if "/train/" in name or "/test/" in name]
    assert len(set(images)) == len(images)


@pytest.mark.parametrize("defect", ["cardboard", "obstruction", "operator", "scratch"])
def test_a_structural_defect_changes_the_picture_where_its_mask_says(defect: str) -> None:
    rng = np.random.default_rng(5)
    canvas = Canvas((400, 400), 0.3, rng)
    canvas.background(np.full((120, 120, 3), 210.0, dtype=np.float32))
    before = canvas.pixels()
    paint_structural(canvas, rng, frozenset({defect, "a logical one"}))
    [(name, mask)] = canvas.masks()
    changed = np.abs(canvas.pixels() - before).max(axis=2)
    near = np.asarray(Image.fromarray(mask).convert("L").filter(ImageFilter.MaxFilter(9))) > 0
    assert name == defect
    assert np.median(changed[mask]) > 20
    assert changed[~near].max() < 2


@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 2**40),
    scale=st.sampled_from([0.04, 0.05, 0.11]),
    category=st.sampled_from(sorted(TYPES)),
)
def test_no_mask_is_ever_empty(
    tmp_path_factory: pytest.TempPathFactory, seed: int, scale: float, category: str
) -> None:
    root = tmp_path_factory.mktemp("any")
    make_demo_dataset(
        root, seed=seed, categories=[category], scale=scale, train_images=1, good_images=1, images_per_defect=2
    )
    for path, mask in _masks(root, category):
        assert 0 < np.count_nonzero(mask[:, :, 0]) < mask[:, :, 0].size, path


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"categories": ["pipe_clip", "pipe_clamp"]}, "pipe_clamp.*engine_wiring.*underbody_screw"),
        ({"categories": []}, "at least one"),
        ({"categories": ["pipe_clip", "pipe_clip"]}, "none twice"),
        ({"scale": 0.0}, "scale"),
        ({"scale": 1.01}, "scale"),
        ({"scale": float("nan")}, "scale"),
        ({"scale": 0.01}, "16 pixels"),
        ({"seed": -1}, "seed"),
        ({"train_images": 0}, "train_images"),
        ({"good_images": 0}, "good_images"),
        ({"images_per_defect": 0}, "images_per_defect"),
    ],
)
def test_bad_arguments_are_refused_and_nothing_is_written(tmp_path: Path, arguments: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make_demo_dataset(tmp_path / "new", **arguments)
    assert not (tmp_path / "new").exists()


def test_a_single_text_is_not_a_list_of_categories(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"\['pipe_clip'\]"):
        make_demo_dataset(tmp_path, categories="pipe_clip")


def test_an_existing_category_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "pipe_clip").mkdir()
    with pytest.raises(FileExistsError, match=r"pipe_clip.*remove it"):
        make_demo_dataset(tmp_path, categories=["tank_screw", "pipe_clip"], scale=SCALE)
    assert _names(tmp_path) == {"pipe_clip"}


def test_a_failure_leaves_no_half_category(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, hard))  # a disk that is full: no image fits
    try:
        with pytest.raises(OSError, match="File too large"):
            make_demo_dataset(tmp_path, categories=["pipe_clip"], scale=SCALE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert _names(tmp_path) == set()


@pytest.mark.parametrize("module", [canvas_module, writing])
def test_the_examples_run(module: object) -> None:
    result = doctest.testmod(module, extraglobs={"np": np})
    assert result.attempted > 0
    assert result.failed == 0
