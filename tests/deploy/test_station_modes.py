"""A station with its own thresholds, several pictures at once, out of a bundle, and timed."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter
from tiny_model import MANIFEST, part, save, save_model

from anomalib_federated.cli.bench import run as bench
from anomalib_federated.cli.inspect import run as inspect
from anomalib_federated.deploy.bundle import BundleError, new_bundle, write_manifest
from anomalib_federated.deploy.calibration import Calibration, calibrate
from anomalib_federated.deploy.overlay import _grow, overlay
from anomalib_federated.deploy.station import Station


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("exported"))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("bundles") / "bundle"
    entry = {
        "bank_rows": 7,
        "image_threshold": 0.6,
        "pixel_threshold": 0.6,
        "threshold_source": {"from": "validation"},
        "parity": {},
        "score_change": {},
        "latency_ms": 1.0,
    }
    with new_bundle(root) as folder:
        for category in ("pipe_clip", "tank_screw"):
            save_model(folder / category, MANIFEST | {"category": category})
        manifest = {
            "runtime": "openvino",
            "precision": "fp32",
            "versions": {},
            "backbone": {"name": "none", "digest": "0"},
            "input_size": None,
            "sites": ["a"],
            "privacy": [],
            "categories": {"pipe_clip": entry, "tank_screw": entry},
        }
        write_manifest(folder, manifest)
    return root


def calibration(station: Station, *, scores: float, peaks: float) -> Calibration:
    """Thresholds just above the two values."""
    return calibrate([scores], [peaks], category=station.category, model_version=station.version, false_alarm_rate=0.05)


def test_a_calibration_replaces_both_thresholds(model: Path) -> None:
    plain = Station(model)
    own = Station(model, calibration=calibration(plain, scores=0.6, peaks=0.3))
    assert own.threshold == pytest.approx(0.6, abs=1e-4)
    between = part(51, spot=174)  # the spot scores 174 / 255 - 0.1 = 0.582
    assert plain.inspect(between).anomalous
    verdict = own.inspect(between)
    assert not verdict.anomalous
    assert verdict.word == "good"
    assert (verdict.threshold, verdict.pixel_threshold) == (own.threshold, own.pixel_threshold)
    low = own.inspect(part(51, spot=120))  # 0.371, below 0.5 but above the pixels' 0.3
    np.testing.assert_array_equal(low.mask, part(51, spot=120)[:, :, 0] == 120)
    assert not plain.inspect(part(51, spot=120)).mask.any()
    high = own.inspect(part(51, spot=200))
    assert high.anomalous
    assert high.score == plain.inspect(part(51, spot=200)).score


def test_colours_follow_the_stations_threshold(model: Path) -> None:
    plain = Station(model)
    own = Station(model, calibration=calibration(plain, scores=0.3, peaks=0.3))
    image = part(102, size=(400, 400))  # the map is 0.3 everywhere
    shown = np.asarray(overlay(image, own.inspect(image))).astype(int)[200, 200]
    unchanged = np.asarray(overlay(image, plain.inspect(image))).astype(int)[200, 200]
    assert np.abs(unchanged - 102).max() <= 1
    # At the threshold the cover is 30 % of (245, 215, 95).
    np.testing.assert_allclose(shown, 0.7 * 102 + 0.3 * np.array([245, 215, 95]), atol=2)


def test_a_calibration_of_something_else_is_refused(model: Path, tmp_path: Path) -> None:
    station = Station(model)
    for change, message in (
        ({"category": "tank_screw"}, "of category 'tank_screw', the model of 'pipe_clip'"),
        ({"model_version": "0000"}, "of model version '0000'"),
    ):
        about = {"category": station.category, "model_version": station.version} | change
        other = calibrate([0.3], [0.3], false_alarm_rate=0.05, **about)
        with pytest.raises(ValueError, match=re.escape(message)):
            Station(model, calibration=other)
    again = save_model(tmp_path / "again", MANIFEST | {"bank_rows": 8})
    assert Station(again).version != station.version


def test_the_command_takes_a_calibration(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = calibration(Station(model), scores=0.95, peaks=0.95).save(tmp_path / "c.json")
    picture = save(tmp_path / "x.png", part(spot=255))
    assert (
        inspect("inspect", ["--model", str(model), "--input", str(picture), "--calibration", str(file), "--json"]) == 0
    )
    captured = capsys.readouterr()
    line = json.loads(captured.out)
    assert line["verdict"] == "good"
    assert line["threshold"] == pytest.approx(0.95, abs=1e-4)
    assert "Drift is not watched" in captured.err  # one picture is too few


def test_several_at_once_say_the_same_as_one(model: Path) -> None:
    single, several = Station(model, threads=1), Station(model, mode="throughput", threads=2)
    assert single.streams == 1
    assert several.streams >= 1
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (20 + number % 3, 30, 3), dtype=np.uint8) for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        verdicts = list(pool.map(several.inspect, images))
    for image, verdict in zip(images, verdicts, strict=True):
        expected = single.inspect(image)
        assert (verdict.score, verdict.anomalous) == (expected.score, expected.anomalous)
        np.testing.assert_array_equal(verdict.anomaly_map, expected.anomaly_map)


def test_lines_come_in_the_order_of_the_pictures(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = [int(value) for value in np.random.default_rng(1).integers(0, 150, 30)]
    for number, value in enumerate(values):  # every third takes long to read
        save(tmp_path / "in" / f"{number:02d}.png", part(value, size=(900, 900) if number % 3 == 0 else (9, 9)))
    arguments = ["--model", str(model), "--input", str(tmp_path / "in"), "--mode", "throughput", "--json"]
    assert inspect("inspect", arguments) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [Path(line["path"]).name for line in lines] == [f"{number:02d}.png" for number in range(30)]
    np.testing.assert_allclose([line["score"] for line in lines], np.array(values) / 255 - 0.1, atol=1e-5)


def test_a_category_out_of_a_bundle(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"several categories \(pipe_clip, tank_screw\): name one"):
        Station(bundle)
    with pytest.raises(BundleError, match="no category 'nut'"):
        Station(bundle, category="nut")
    clip, screw = (Station(bundle, category=name) for name in ("pipe_clip", "tank_screw"))
    assert (clip.category, screw.category) == ("pipe_clip", "tank_screw")
    assert clip.version == screw.version != Station(bundle / "pipe_clip").version
    copied = tmp_path / "copied"
    copied.mkdir()
    for path in bundle.rglob("*"):
        if path.is_file():
            target = copied / path.relative_to(bundle)
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(path.read_bytes())
    with (copied / "pipe_clip" / "model.bin").open("ab") as file:
        file.write(b"x")
    with pytest.raises(BundleError, match=r"pipe_clip/model\.bin"):
        Station(copied, category="tank_screw")


@pytest.mark.parametrize("width", [1, 2, 5])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (30, 40), (2, 3)])
def test_contours_grow_as_pillow_grows_them(size: tuple[int, int], width: int) -> None:
    area = np.random.default_rng(0).random(size) < 0.05
    picture = Image.fromarray(area.astype(np.uint8) * 255).filter(ImageFilter.MaxFilter(2 * width + 1))
    np.testing.assert_array_equal(_grow(area, width), np.asarray(picture) > 0)


@pytest.mark.parametrize("drawn", [True, False])
def test_bench_times_every_stage_in_both_modes(
    model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    drawn: bool,  # noqa: FBT001
) -> None:
    save(tmp_path / "a.png", part())
    source = ["--size", "64x48"] if drawn else ["--input", str(tmp_path), "--overlays"]
    assert bench("bench", ["--model", str(model), "--pictures", "12", "--threads", "1", "--json", *source]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found["modes"]) == {"latency", "throughput"}
    for timing in found["modes"].values():
        stages = timing["milliseconds"]
        assert list(stages) == ["read", "prepare", "infer", "regions", *([] if drawn else ["overlay"]), "total"]
        for values in stages.values():
            assert 0 < values["50"] <= values["90"] <= values["99"]
        assert stages["total"]["50"] >= stages["infer"]["50"]
        assert timing["pictures"] == 12
        assert timing["threads"] == 1
        assert timing["per_second"] > 0
    assert {"openvino", "processor", "device", "model", "category", "input"} <= set(found)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert bench("bench", ["--model", str(model), "--pictures", "3", *source]) == 0
    table = capsys.readouterr().out
    assert "p50" in table
    assert "throughput" in table


def test_bench_refuses_what_cannot_be_timed(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "cut.png").write_bytes(b"")
    for arguments, message in (
        (["--input", str(tmp_path)], "cannot be read"),
        (["--input", str(tmp_path / "none")], "no picture and no folder"),
        (["--pictures", "0"], "pictures is 0"),
    ):
        assert bench("bench", ["--model", str(model), *arguments]) == 2
        assert message in capsys.readouterr().err
    for size in ("0x5", "5", "5x5x5", "-1x4"):
        with pytest.raises(SystemExit):
            bench("bench", ["--model", str(model), "--size", size])
