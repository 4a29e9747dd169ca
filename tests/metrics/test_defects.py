"""Defects and defects_config.json."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from anomalib_federated.metrics import Defect, DefectsConfig, DefectType

REAL = Path(__file__).parents[2].parent / "shared" / "data" / "magnetic_tile"


def _entry(**changes: object) -> dict[str, object]:
    entry = {"defect_name": "scratch", "pixel_value": 255, "saturation_threshold": 0.5, "relative_saturation": True}
    return {**entry, **changes}


def _mask(area: int, shape: tuple[int, int] = (20, 30)) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    mask.flat[:area] = True
    return mask


class TestDefect:
    def test_holds_what_it_was_given(self):
        defect = Defect(_mask(7), 3, "dent")
        assert (defect.area, defect.saturation_area, defect.name) == (7, 3, "dent")

    def test_numpy_integer_becomes_an_int(self):
        assert type(Defect(_mask(7), np.uint8(3)).saturation_area) is int

    def test_is_frozen(self):
        with pytest.raises(AttributeError):
            Defect(_mask(7), 3).saturation_area = 4

    @pytest.mark.parametrize(
        "mask", [_mask(7).astype(np.uint8), _mask(7).ravel(), _mask(7)[None], [[True]], np.zeros((2, 2), dtype=bool)]
    )
    def test_bad_mask(self, mask):
        with pytest.raises(ValueError, match="mask"):
            Defect(mask, 1)

    @pytest.mark.parametrize("area", [0, -1, 8, 2.0, True, "3", None])
    def test_bad_saturation_area(self, area):
        with pytest.raises(ValueError, match="'dent': saturation_area"):
            Defect(_mask(7), area, "dent")


class TestDefectType:
    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("defect_name", ""),
            ("defect_name", 3),
            ("pixel_value", 0),
            ("pixel_value", 256),
            ("pixel_value", True),
            ("pixel_value", 255.0),
            ("pixel_value", "255"),
            ("relative_saturation", 1),
            ("relative_saturation", None),
            *(("saturation_threshold", value) for value in (0, -0.1, 1.01, True, "1.0", None, np.nan, np.inf)),
        ],
    )
    def test_names_the_bad_field(self, field, value):
        with pytest.raises(ValueError, match=f"field '{field}'"):
            DefectType(**_entry(**{field: value}))

    @pytest.mark.parametrize("value", [0, -3, 2.5, 0.5, True, "20", np.nan, np.inf])
    def test_bad_absolute_threshold(self, value):
        with pytest.raises(ValueError, match="whole number"):
            DefectType(**_entry(saturation_threshold=value, relative_saturation=False))

    @pytest.mark.parametrize(("threshold", "area", "expected"), [(0.29, 100, 28), (1.0, 7, 7), (1, 7, 7), (0.5, 3, 1)])
    def test_relative_truncates_in_float64(self, threshold, area, expected):
        assert DefectType("a", 1, threshold, relative_saturation=True).saturation_area(area) == expected

    @pytest.mark.parametrize(("threshold", "area", "expected"), [(20, 100, 20), (20.0, 100, 20), (20, 7, 7)])
    def test_absolute_is_capped_by_the_area(self, threshold, area, expected):
        assert DefectType("a", 1, threshold, relative_saturation=False).saturation_area(area) == expected

    @given(st.floats(0.01, 1), st.integers(200, 10**6))
    def test_relative_is_the_exact_product_up_to_a_pixel(self, threshold, area):
        exact = Fraction(threshold) * area
        saturation = DefectType("a", 1, threshold, relative_saturation=True).saturation_area(area)
        assert exact - 1 < saturation <= exact + Fraction(1, 10**6)
        assert saturation <= area


class TestDefectsConfig:
    def test_type_by_pixel_value(self):
        config = DefectsConfig.from_list(
            [
                _entry(),
                _entry(defect_name="dent", pixel_value=7, saturation_threshold=4.0, relative_saturation=False),
            ]
        )
        assert config.defect(_mask(10), 255).saturation_area == 5
        assert config.defect(_mask(10), 7).saturation_area == 4
        assert config.defect(_mask(10), np.uint8(7)).name == "dent"

    @pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.float32])
    def test_whatever_is_not_zero_is_defect(self, dtype):
        mask = _mask(10).astype(dtype) * np.asarray(7, dtype=dtype)
        defect = DefectsConfig.from_list([_entry()]).defect(mask, 255)
        np.testing.assert_array_equal(defect.mask, _mask(10))

    def test_later_duplicate_wins(self):
        config = DefectsConfig.from_list([_entry(), _entry(pixel_value=3), _entry(defect_name="late")])
        assert config.defect(_mask(10), 255).name == "late"
        assert len(config.types) == 2

    def test_unknown_pixel_value_lists_the_known(self):
        config = DefectsConfig.from_list([_entry(), _entry(defect_name="dent", pixel_value=7)])
        with pytest.raises(ValueError, match=r"value 9 .* 7 \(dent\), 255 \(scratch\)"):
            config.defect(_mask(10), 9)

    def test_tiny_defect_says_that_its_saturation_truncates(self):
        with pytest.raises(ValueError, match=r"0\.5 of 1 pixels truncates to a saturation area of 0"):
            DefectsConfig.from_list([_entry()]).defect(_mask(1), 255)

    @pytest.mark.parametrize("mask", [_mask(0), _mask(9)[None], np.full((4, 4), np.nan), np.full((4, 4), "x")])
    def test_bad_mask(self, mask):
        with pytest.raises(ValueError, match="mask"):
            DefectsConfig.from_list([_entry()]).defect(mask, 255)

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            ([_entry(), _entry(pixel_value=300)], "entry 1: field 'pixel_value'"),
            ([{"defect_name": "a"}], "entry 0: field 'pixel_value' is missing"),
            ([_entry(), 3], "entry 1 must be an object"),
            ([_entry(saturation_threshold=float("nan"))], "entry 0: field 'saturation_threshold'"),
            ({"defect_name": "a"}, "list of entries, got dict"),
            ("text", "list of entries, got str"),
            ([], "no entry"),
        ],
    )
    def test_file_errors_name_file_entry_and_field(self, tmp_path, content, said):
        path = tmp_path / "defects_config.json"
        path.write_text(json.dumps(content))
        with pytest.raises(ValueError, match=r"defects_config\.json: ") as caught:
            DefectsConfig.from_file(path)
        assert said in str(caught.value)

    @pytest.mark.parametrize("content", [b"[{", b"\xff\xfe", b""])
    def test_file_that_is_not_json(self, tmp_path, content):
        path = tmp_path / "defects_config.json"
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"defects_config\.json: "):
            DefectsConfig.from_file(path)

    def test_missing_file(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            DefectsConfig.from_file(tmp_path / "none.json")

    def test_file_equals_list(self, tmp_path):
        path = tmp_path / "defects_config.json"
        path.write_text(json.dumps([_entry()]))
        assert DefectsConfig.from_file(str(path)) == DefectsConfig.from_list([_entry()])


@pytest.mark.skipif(not REAL.is_dir(), reason="the real images are not beside this checkout")
def test_real_masks():
    config = DefectsConfig.from_file(REAL / "defects_config.json")
    raw = {entry["pixel_value"]: entry for entry in json.loads((REAL / "defects_config.json").read_text())}
    for folder in ("blowhole", "break", "crack", "fray", "uneven"):
        pixels = np.asarray(Image.open(sorted((REAL / "ground_truth" / folder).glob("*/*.png"))[0]).convert("L"))
        (value,) = set(pixels.ravel().tolist()) - {0}
        defect = config.defect(pixels, value)
        area = sum(1 for pixel in pixels.ravel().tolist() if pixel)
        threshold = raw[value]["saturation_threshold"]
        relative = raw[value]["relative_saturation"]
        assert defect.name == folder
        assert defect.saturation_area == (int(threshold * area) if relative else min(threshold, area))
