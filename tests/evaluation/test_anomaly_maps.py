"""Folders of maps in every form that is understood, and in those that are not."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from scipy.ndimage import zoom

from anomalib_federated.data import AutoVI
from anomalib_federated.data.dataset import InspectionDataset
from anomalib_federated.data.layout import name_of
from anomalib_federated.evaluation.maps.files import MapError, read_map, write_png16
from anomalib_federated.evaluation.maps.folder import read_maps, read_validation_scores
from anomalib_federated.evaluation.maps.writer import MapWriter
from tests.evaluation.scored import scored_test_set

CATEGORY = "tank_screw"


@pytest.fixture(scope="module")
def dataset(demo_root: Path) -> InspectionDataset:
    datamodule = AutoVI(demo_root, [CATEGORY])
    datamodule.setup()
    return datamodule.test_data


@pytest.fixture
def maps(dataset: InspectionDataset, tmp_path: Path) -> Path:
    """One map of 8 x 10 per test image, 16 bits, in the official layout."""
    for index, path in enumerate(dataset.samples["image_path"]):
        values = np.random.default_rng(index).random((8, 10)) * 0.9
        write_png16(tmp_path / "maps" / CATEGORY / Path(name_of(path)).with_suffix(".png"), values)
    return tmp_path / "maps"


def first(maps: Path) -> Path:
    return min(maps.rglob("*.png"))


@pytest.mark.parametrize("form", [f"{CATEGORY}/test", CATEGORY, "test", "."])
def test_shorter_forms_of_the_layout_are_understood(
    dataset: InspectionDataset, maps: Path, tmp_path: Path, form: str
) -> None:
    (tmp_path / "other" / form).parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(maps / CATEGORY / "test", tmp_path / "other" / form, dirs_exist_ok=True)
    official = [item.score for item in read_maps(maps, dataset)]
    assert [item.score for item in read_maps(tmp_path / "other", dataset)] == official


def test_an_image_gets_its_own_map_at_its_own_size(
    dataset: InspectionDataset, maps: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        scored = list(read_maps(maps, dataset))
    assert f"{len(dataset)} maps of 8 x 10 pixels were resized bilinearly" in caplog.text
    assert len(scored) == len(dataset)
    for index, item in enumerate(scored):
        stored = np.rint(np.random.default_rng(index).random((8, 10)) * 0.9 * 65535)
        sample = dataset[index]
        assert str(item.image_path) == sample.image_path
        assert item.anomaly_map.shape == sample.native_size
        assert item.score == stored.max()
        assert len(item.defects) == len(sample.defects)
        # scipy interpolates linearly between the same pixel centres.
        factors = np.array(sample.native_size) / stored.shape
        expected = zoom(stored, factors, order=1, mode="nearest", grid_mode=True)
        assert np.allclose(item.anomaly_map, expected, atol=65535 * 1e-5)


Spoil = Callable[[Path], object]
SPOILT: dict[str, tuple[Spoil, str]] = {
    "missing": (lambda path: path.unlink(), "1 of [0-9]+ images have no map: .*{stem}"),
    "two maps": (
        lambda path: np.save(path.with_suffix(".npy"), np.zeros((2, 2))),
        "two maps for one image, .*{stem}.npy and .*{stem}.png",
    ),
    "no image": (
        lambda path: shutil.copy(path, path.with_name("9999.png")),
        "1 maps have no image: .*9999.png",
    ),
    "unknown folder": (
        lambda path: shutil.copytree(path.parent, path.parents[1] / "zebra"),
        "[0-9]+ maps have no image: .*zebra",
    ),
    "truncated": (lambda path: path.write_bytes(path.read_bytes()[:60]), "{stem}.png cannot be read"),
    "no picture": (lambda path: path.write_text("map"), "{stem}.png cannot be read"),
    "coloured": (
        lambda path: Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3)).save(path),
        "{stem}.png has channels that differ",
    ),
    "palette": (
        lambda path: Image.fromarray(np.zeros((4, 4), np.uint8)).convert("P").save(path),
        "{stem}.png is of mode P",
    ),
    "several": (
        lambda path: Image.new("L", (4, 4)).save(
            path, format="TIFF", save_all=True, append_images=[Image.new("L", (4, 4))]
        ),
        "{stem}.png holds 2 pictures",
    ),
}


@pytest.mark.parametrize("fault", SPOILT)
def test_a_spoilt_folder_is_refused_with_the_name_of_the_file(
    dataset: InspectionDataset, maps: Path, fault: str
) -> None:
    path = first(maps)
    spoil, message = SPOILT[fault]
    spoil(path)
    with pytest.raises(MapError, match=message.format(stem=path.stem)):
        list(read_maps(maps, dataset))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.full((3, 4), np.nan), "holds nan at row 0, column 0"),
        (np.array([[0, 1e300]]), r"holds 1e\+300 at row 0, column 1"),
        (np.zeros((3, 4), dtype=complex), "holds complex128"),
        (np.zeros(7), r"shape \(7,\)"),
        (np.zeros((0, 4)), r"shape \(0, 4\)"),
        (np.arange(24.0).reshape(2, 3, 4), "channels that differ"),
    ],
)
def test_an_array_that_is_no_map_is_refused(tmp_path: Path, array: np.ndarray, message: str) -> None:
    np.save(tmp_path / "map.npy", array)
    with pytest.raises(MapError, match=f"map.npy .*{message}"):
        read_map(tmp_path / "map.npy")


def test_an_array_of_objects_is_not_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "map.npy", np.array([[{"a": 1}]]), allow_pickle=True)
    with pytest.raises(MapError, match=r"map\.npy cannot be read"):
        read_map(tmp_path / "map.npy")
    np.save(tmp_path / "cut.npy", np.zeros((30, 40)))
    (tmp_path / "cut.npy").write_bytes((tmp_path / "cut.npy").read_bytes()[:500])
    with pytest.raises(MapError, match=r"cut\.npy cannot be read"):
        read_map(tmp_path / "cut.npy")


def test_folders_without_a_map_are_refused(dataset: InspectionDataset, tmp_path: Path) -> None:
    with pytest.raises(MapError, match="There is no folder of maps"):
        list(read_maps(tmp_path / "nowhere", dataset))
    (tmp_path / CATEGORY / "test" / "good").mkdir(parents=True)
    with pytest.raises(MapError, match=f"no map of '{CATEGORY}' below .* expected .*{CATEGORY}/test/<type>"):
        list(read_maps(tmp_path, dataset))


BYTES = np.array([[0, 7], [255, 1]], dtype=np.uint8)
WORDS = np.array([[0, 7], [65535, 1]], dtype=np.uint16)
FLOATS = np.array([[-0.5, 7.25], [1e-9, 3e8]], dtype=np.float32)
INTEGERS = np.array([[-5, 7], [3, 2**24]], dtype=np.int32)


@pytest.mark.parametrize(
    ("ending", "stored"),
    [
        *[("png", array) for array in (BYTES, WORDS)],
        *[("tiff", array) for array in (BYTES, WORDS, FLOATS, INTEGERS)],
        *[("npy", array) for array in (BYTES, WORDS, FLOATS, INTEGERS, FLOATS.astype(np.float64), BYTES > 1)],
    ],
)
def test_values_are_read_as_they_are_stored(tmp_path: Path, ending: str, stored: np.ndarray) -> None:
    path = tmp_path / f"map.{ending}"
    if ending == "npy":
        np.save(path, stored)
    else:
        Image.fromarray(stored).save(path)
    found = read_map(path)
    assert found.dtype == np.float32
    assert np.array_equal(found, stored)


@pytest.mark.parametrize("shape", [(3, 4, 1), (1, 3, 4), (3, 4, 3)])
def test_equal_channels_are_one(tmp_path: Path, shape: tuple[int, ...]) -> None:
    values = np.arange(12, dtype=np.float64).reshape(3, 4)
    np.save(tmp_path / "map.npy", np.broadcast_to(values if shape[0] == 1 else values[..., None], shape))
    assert np.array_equal(read_map(tmp_path / "map.npy"), values)


def test_validation_maps_set_scores_under_any_name(maps: Path, tmp_path: Path) -> None:
    assert read_validation_scores(maps, CATEGORY) == []
    for index, peak in enumerate((0.25, 0.75)):
        write_png16(maps / CATEGORY / "validation" / "good" / f"any{index}.png", np.array([[0, peak]]))
    assert read_validation_scores(maps, CATEGORY) == [16384.0, 49151.0]
    assert read_validation_scores(maps / CATEGORY, CATEGORY) == [16384.0, 49151.0]


def test_written_maps_are_read_back_in_their_order(dataset: InspectionDataset, maps: Path, tmp_path: Path) -> None:
    scored = [replace(item, anomaly_map=item.anomaly_map / 20_000) for item in read_maps(maps, dataset)]
    for form in ("png16", "npy"):
        writer = MapWriter(folder=tmp_path / form, form=form, pixel_threshold=1.5)
        for item in scored:
            writer.write(item)
        again = list(read_maps(tmp_path / form, dataset))
        scale = json.loads((tmp_path / form / CATEGORY / "scale.json").read_text())
        assert scale["pixel_threshold"] == 1.5
        for item, other in zip(scored, again, strict=True):
            raw = item.anomaly_map.astype(np.float64)
            expected = raw if form == "npy" else 65535 * raw / (raw + 1.5)
            assert np.abs(other.anomaly_map - expected).max() <= (0 if form == "npy" else 0.5)


@settings(max_examples=30)
@given(arrays(np.float32, (2, 2, 3), elements=st.floats(0, 1e6, width=32)))
def test_the_scale_keeps_the_order_across_images(tmp_path_factory: pytest.TempPathFactory, values: np.ndarray) -> None:
    writer = MapWriter(folder=tmp_path_factory.mktemp("maps"), form="png16", pixel_threshold=3.0)
    image, *_ = scored_test_set(images=1)
    written = [
        read_map(writer.write(replace(image, name=f"test/good/{index}.png", anomaly_map=grid)))
        for index, grid in enumerate(values)
    ]
    stored = np.stack(written).ravel()[np.argsort(values.ravel(), kind="stable")]
    assert (np.diff(stored) >= 0).all()
    assert np.array_equal(np.stack(written) > 32767.5, values > np.float32(3.0)) or (np.abs(values - 3) < 1e-3).any()


def test_maps_that_have_no_place_on_the_scale_are_refused(tmp_path: Path) -> None:
    image = scored_test_set(images=1)[0]
    writer = MapWriter(folder=tmp_path, form="png16", pixel_threshold=1.0)
    with pytest.raises(MapError, match="negative scores"):
        writer.write(replace(image, anomaly_map=image.anomaly_map - 5))
    with pytest.raises(ValueError, match="positive"):
        MapWriter(folder=tmp_path, form="npy", pixel_threshold=0.0)
