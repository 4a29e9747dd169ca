"""Reading defect channels from mask files of every kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anomalib_federated.data.masks import MaskError, read_defects
from anomalib_federated.metrics import DefectsConfig

SIZE = (6, 8)
CONFIG = DefectsConfig.from_list(
    [
        {"defect_name": "scratch", "pixel_value": 255, "saturation_threshold": 0.5, "relative_saturation": True},
        {"defect_name": "missing", "pixel_value": 254, "saturation_threshold": 3, "relative_saturation": False},
    ]
)
AREA = np.zeros(SIZE, dtype=bool)
AREA[1:4, 2:6] = True


def save(path: Path, pixels: np.ndarray, mode: str = "L") -> Path:
    gray = Image.fromarray(pixels.astype(np.uint8))
    if mode == "P":
        # The palette turns the order round, so that an index taken for a gray value would show.
        image = Image.fromarray(255 - pixels.astype(np.uint8)).convert("P")
        image.putpalette([value for index in range(256) for value in [255 - index] * 3])
    elif mode in {"LA", "RGBA"}:
        image = gray.convert(mode)
        # Transparent where the defect is: transparency says nothing about it.
        image.putalpha(Image.fromarray(np.where(pixels > 0, 0, 200).astype(np.uint8)))
    else:
        image = gray.convert(mode)
    image.save(path)
    assert Image.open(path).mode == mode
    return path


def read_one(path: Path, config: DefectsConfig | None = CONFIG, label: str = "any") -> object:
    return read_defects([path], size=SIZE, config=config, label=label)[0]


def refusal(path: Path) -> str | None:
    try:
        read_one(path)
    except MaskError as error:
        return str(error)
    return None


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "LA"])
@pytest.mark.parametrize(("value", "name", "saturation"), [(255, "scratch", 6), (254, "missing", 3)])
def test_every_mode_gives_the_same_defect(tmp_path: Path, mode: str, value: int, name: str, saturation: int) -> None:
    path = save(tmp_path / "mask.png", np.where(AREA, value, 0), mode)
    defect = read_one(path)
    np.testing.assert_array_equal(defect.mask, AREA)
    assert (defect.name, defect.saturation_area) == (name, saturation)


def test_a_coloured_mask_counts_its_strongest_colour(tmp_path: Path) -> None:
    colours = np.zeros((*SIZE, 3), dtype=np.uint8)
    colours[AREA] = (0, 254, 10)
    Image.fromarray(colours).save(tmp_path / "mask.png")
    assert read_one(tmp_path / "mask.png").name == "missing"


def test_every_file_is_one_defect_in_the_order_given(tmp_path: Path) -> None:
    first = save(tmp_path / "b.png", np.where(AREA, 254, 0))
    second = save(tmp_path / "a.png", np.where(~AREA, 255, 0))
    defects = read_defects([first, second], size=SIZE, config=CONFIG, label="multiple")
    assert [defect.name for defect in defects] == ["missing", "scratch"]
    assert [defect.area for defect in defects] == [12, 36]
    assert read_defects([], size=SIZE, config=CONFIG, label="multiple") == ()


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.where(AREA, 77, 0), r"pixel value 77 is not in the defects config, which knows 254 \(missing\), 255"),
        (np.where(AREA, 255, 254), r"holds the values \[254, 255\]; a channel has exactly one non-zero value"),
        (np.zeros(SIZE), r"holds the values \[\]"),
        (np.where(AREA, 255, 0).T, "is 8 x 6, its picture 6 x 8 pixels"),
    ],
    ids=["unknown value", "two values", "empty", "wrong size"],
)
def test_unusable_masks_are_refused_by_name(tmp_path: Path, pixels: np.ndarray, message: str) -> None:
    path = save(tmp_path / "mask.png", pixels)
    with pytest.raises(MaskError, match=message) as error:
        read_one(path)
    assert str(path) in str(error.value)


def test_a_defect_too_small_to_saturate_is_refused_by_name(tmp_path: Path) -> None:
    dot = np.zeros(SIZE)
    dot[0, 0] = 255
    with pytest.raises(MaskError, match=r"dot\.png cannot be used: .*saturation area of 0"):
        read_one(save(tmp_path / "dot.png", dot))


def test_without_config_every_file_is_one_defect_that_saturates_when_covered(tmp_path: Path) -> None:
    pixels = np.where(AREA, 7, 0)
    pixels[1, 2] = 200
    defect = read_one(save(tmp_path / "mask.png", pixels), config=None, label="crack")
    np.testing.assert_array_equal(defect.mask, AREA)
    assert (defect.name, defect.saturation_area) == ("crack", 12)
    with pytest.raises(MaskError, match=r"empty\.png marks no pixel"):
        read_one(save(tmp_path / "empty.png", np.zeros(SIZE)), config=None)


def test_files_that_are_no_image_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("not an image")
    for name in ("text.png", "gone.png"):
        with pytest.raises(MaskError, match=f"{name} cannot be read as an image"):
            read_one(tmp_path / name)


def test_damaged_files_are_refused_by_name_or_read(tmp_path: Path) -> None:
    data = save(tmp_path / "whole.png", np.where(AREA, 255, 0)).read_bytes()
    damaged, rng = tmp_path / "damaged.png", np.random.default_rng(0)
    cases = [data[:length] for length in range(0, len(data), 3)]
    for _ in range(300):
        flipped = bytearray(data)
        for position in rng.integers(0, len(data), 3):
            flipped[position] = rng.integers(256)
        cases.append(bytes(flipped))
    refusals = []
    for case in cases:
        damaged.write_bytes(case)
        refusals.append(refusal(damaged))
    assert all(text is None or str(damaged) in text for text in refusals)
    assert sum(text is not None for text in refusals) > len(cases) / 2
    damaged.write_bytes(data[: len(data) // 2])
    with pytest.raises(MaskError, match="cannot be read as an image"):
        read_one(damaged)


@pytest.mark.parametrize(
    ("suffix", "old", "new"),
    [
        # Pillow raises ValueError and DecompressionBombError, neither of which names the file.
        ("png", b"\x00\x00\x00\rIHDR", b"\x00\x00\x00\x05IHDR"),
        ("bmp", b"\x08\x00\x00\x00\x06\x00\x00\x00", b"\xff\xff\xff\x00\xff\xff\xff\x00"),
    ],
)
def test_damage_that_pillow_reports_in_other_ways(tmp_path: Path, suffix: str, old: bytes, new: bytes) -> None:
    path = save(tmp_path / f"mask.{suffix}", np.where(AREA, 255, 0))
    assert path.read_bytes().count(old) == 1
    path.write_bytes(path.read_bytes().replace(old, new))
    with pytest.raises(MaskError, match=f"mask.{suffix} cannot be read as an image"):
        read_one(path)
