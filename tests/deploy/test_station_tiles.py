"""A station that judges pictures in tiles: on the tiny model, whose map of the whole picture says what is right."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_model import part, save, save_model

from anomalib_federated.cli.bench import run as bench
from anomalib_federated.cli.calibrate import run as calibrate_command
from anomalib_federated.cli.inspect import run as inspect
from anomalib_federated.deploy.calibration import Calibration, CalibrationError, calibrate
from anomalib_federated.deploy.regions import find_regions
from anomalib_federated.deploy.station import Station, Tiling

TILING = Tiling(height=16, width=20, overlap=4)
DEFECTS = {
    "in the overlap of four tiles": (slice(12, 16), slice(16, 20)),
    "across an overlap": (slice(8, 20), slice(30, 38)),
    "at the far corner": (slice(37, 40), slice(45, 48)),
    "at the upper border": (slice(0, 2), slice(19, 21)),
    "one pixel": (slice(25, 26), slice(16, 17)),
    "wider than a tile": (slice(20, 24), slice(5, 44)),
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("exported"))


@pytest.fixture(scope="module")
def of_tiles(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model for pictures of a tile's size alone, with a map of half the size."""
    graph = ov.Core().read_model(model / "model.xml")
    graph.reshape([1, 3, TILING.height, TILING.width])
    result = graph.output("anomaly_map").node
    halved = ov.opset13.avg_pool(result.input_value(0), [2, 2], [0, 0], [0, 0], [2, 2], exclude_pad=False)
    halved.output(0).set_names({"anomaly_map"})
    result.input_value(0).set_names(set())
    result.input(0).replace_source_output(halved.output(0))
    graph.validate_nodes_and_infer_types()
    folder = tmp_path_factory.mktemp("of_tiles")
    ov.save_model(graph, folder / "model.xml", compress_to_fp16=False)
    return folder


@pytest.fixture(scope="module", params=["latency", "throughput"])
def stations(request: pytest.FixtureRequest, model: Path) -> tuple[Station, Station]:
    """One that sees pictures whole, one that sees them in tiles."""
    return Station(model), Station(model, tiling=TILING, mode=request.param, threads=2)


@pytest.mark.parametrize("where", DEFECTS)
def test_a_defect_is_found_wherever_it_lies(stations: tuple[Station, Station], where: str) -> None:
    whole, tiled = stations
    image = part(51)
    image[DEFECTS[where]] = 255
    verdict = tiled.inspect(image)
    assert verdict.anomalous
    assert verdict.score == pytest.approx(0.9, abs=1e-6)
    np.testing.assert_array_equal(verdict.mask, image[:, :, 0] == 255)
    rows, columns = DEFECTS[where]
    box = (columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)
    assert [region.box for region in find_regions(verdict.mask, image.shape[:2])] == [box]
    np.testing.assert_array_equal(verdict.anomaly_map, whole.inspect(image).anomaly_map)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 50), st.integers(1, 50), st.integers(0, 2**32 - 1))
def test_pictures_of_any_size(stations: tuple[Station, Station], height: int, width: int, seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    expected, verdict = (station.inspect(image) for station in stations)
    assert (verdict.score, verdict.anomalous) == (expected.score, expected.anomalous)
    np.testing.assert_array_equal(verdict.anomaly_map, expected.anomaly_map)
    np.testing.assert_array_equal(verdict.mask, expected.mask)


def test_the_model_sees_tiles_and_their_maps_are_enlarged(of_tiles: Path) -> None:
    tiled = Station(of_tiles, tiling=TILING)
    verdict = tiled.inspect(part(51, spot=255, size=(45, 53)))
    assert verdict.anomaly_map.shape == verdict.mask.shape == (45, 53)
    assert verdict.score == pytest.approx(0.9, abs=1e-6)
    np.testing.assert_allclose(verdict.anomaly_map[30:], 0.1, atol=1e-6)
    np.testing.assert_array_equal(verdict.mask[12:18, 7:15], True)  # noqa: FBT003 - what is compared with
    with pytest.raises(RuntimeError):
        Station(of_tiles).inspect(part(51, size=(45, 53)))


def test_a_picture_of_one_tile_is_not_cut(of_tiles: Path) -> None:
    image = part(51, size=(TILING.height, TILING.width))
    image[3:7, 5:9] = 200
    expected, verdict = Station(of_tiles).inspect(image), Station(of_tiles, tiling=TILING).inspect(image)
    assert verdict.score == expected.score
    assert verdict.anomaly_map.shape == (8, 10)  # the network's own
    np.testing.assert_array_equal(verdict.anomaly_map, expected.anomaly_map)
    np.testing.assert_array_equal(verdict.mask, expected.mask)


def test_one_tile_without_an_answer_is_never_a_pass(tmp_path: Path) -> None:
    station = Station(save_model(tmp_path, black_is_nan="map"), tiling=TILING)
    image = part(51)
    image[-1, -1] = 0
    with pytest.raises(RuntimeError, match="not finite"):
        station.inspect(image)


def test_too_many_tiles_are_an_error(model: Path) -> None:
    with pytest.raises(ValueError, match=r"would be cut into 10000 tiles of 1 x 1 pixels .* at most 4096"):
        Station(model, tiling=Tiling(height=1, width=1)).inspect(part(51, size=(100, 100)))


def test_a_calibration_holds_for_its_tiles_alone(model: Path, tmp_path: Path) -> None:
    version = Station(model).version
    made = {
        tiling: calibrate(
            [0.8], [0.3], category="pipe_clip", model_version=version, false_alarm_rate=0.05, tiling=tiling
        )
        for tiling in (None, TILING, Tiling(height=16, width=20))
    }
    for tiling, calibration in made.items():
        assert Calibration.load(calibration.save(tmp_path / "c.json")) == calibration
        assert calibration.digest == Calibration.load(tmp_path / "c.json").digest
        for other in made:
            if other != tiling:
                with pytest.raises(ValueError, match="give the same --tile and --overlap"):
                    Station(model, calibration=calibration, tiling=other)
    assert len({calibration.digest for calibration in made.values()}) == 3
    station = Station(model, calibration=made[TILING], tiling=TILING)
    image = part(51)
    image[0:2, 40:44] = 180  # 0.606: below the picture's threshold, above the pixels'
    verdict = station.inspect(image)
    assert not verdict.anomalous
    np.testing.assert_array_equal(verdict.mask, image[:, :, 0] == 180)


@pytest.mark.parametrize(
    "tiling",
    [3, [16, 20, 4], {"height": 16}, {"height": 16.0, "width": 20, "overlap": 4},
     {"height": True, "width": 20, "overlap": 0}, {"height": 16, "width": 20, "overlap": 16}],
    ids=str,
)  # fmt: skip
def test_a_file_with_impossible_tiles_is_refused(tmp_path: Path, tiling: object) -> None:
    path = tmp_path / "c.json"
    calibrate([0.8], [0.3], category="a", model_version="b", false_alarm_rate=0.05, tiling=TILING).save(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"tiling": tiling}))
    with pytest.raises(CalibrationError, match="cannot be used"):
        Calibration.load(path)


def test_the_commands_take_tiles(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(20):
        save(tmp_path / "good" / f"{number:02d}.png", part(100 + number, size=(40 + number, 48)))
    tiles = ["--tile", "16", "20", "--overlap", "4"]
    file = tmp_path / "c.json"
    arguments = ["--model", str(model), "--input", str(tmp_path / "good")]
    assert calibrate_command("calibrate", [*arguments, "--output", str(file), *tiles]) == 0
    assert "20 good pictures in tiles of 16 x 20 pixels that overlap by 4" in capsys.readouterr().out
    assert Calibration.load(file).tiling == TILING

    image = part(51, size=(70, 90))
    image[66:70, 50:60] = 255
    arguments = ["--model", str(model), "--input", str(save(tmp_path / "x.png", image))]
    calibrated = [*arguments, "--calibration", str(file), "--json"]
    assert inspect("inspect", [*calibrated, *tiles, "--overlays", str(tmp_path / "o")]) == 0
    line = json.loads(capsys.readouterr().out)
    assert (line["verdict"], line["regions"]) == ("anomalous", [{"box": [50, 66, 10, 4], "area": 40}])
    for wrong in ([], ["--tile", "16", "20"], ["--tile", "20", "16", "--overlap", "4"]):
        assert inspect("inspect", [*calibrated, *wrong]) == 2
        assert "made with tiles of 16 x 20 pixels that overlap by 4" in capsys.readouterr().err

    timed = [*arguments, "--pictures", "3", "--threads", "1", *tiles]
    assert bench("bench", [*timed, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tiling"] == {"height": 16, "width": 20, "overlap": 4}
    assert bench("bench", timed) == 0
    assert "in tiles of 16 x 20 pixels" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("tiles", "message"),
    [
        (["--overlap", "4"], "give --tile HEIGHT WIDTH too"),
        (["--tile", "0", "5"], "cannot overlap"),
        (["--tile", "8", "8", "--overlap", "8"], "cannot overlap by 8"),
    ],
)
def test_the_commands_refuse_impossible_tiles(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], tiles: list[str], message: str
) -> None:
    picture = save(tmp_path / "x.png", part())
    assert inspect("inspect", ["--model", str(model), "--input", str(picture), *tiles]) == 2
    assert message in capsys.readouterr().err
