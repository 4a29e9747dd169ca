"""The inspection station on a real, tiny OpenVINO model.

Every expected value below is worked out by hand from what ``tiny_model`` computes.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from tiny_model import MANIFEST, part, save, save_model

from anomalib_federated.cli.inspect import run as inspect_command
from anomalib_federated.deploy.station import Station, Verdict, overlay, read_image


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("exported"))


@pytest.fixture(scope="module")
def station(model: Path) -> Station:
    return Station(model)


# --- verdicts


@pytest.mark.parametrize("size", [(1, 1), (40, 48), (7, 300), (501, 33)])
def test_verdict_of_a_good_part(station: Station, size: tuple[int, int]) -> None:
    verdict = station.inspect(part(51, size=size))
    assert (verdict.category, verdict.threshold, verdict.anomalous, verdict.word) == ("pipe_clip", 0.5, False, "good")
    assert verdict.score == pytest.approx(51 / 255 + 0.5 - 0.6, abs=1e-6)
    assert verdict.anomaly_map.shape == verdict.mask.shape == size
    assert verdict.anomaly_map.dtype == np.float32
    assert verdict.mask.dtype == np.bool_
    assert not verdict.mask.any()
    assert verdict.milliseconds > 0


def test_verdict_of_a_defective_part(station: Station) -> None:
    image = part(51, spot=255)
    verdict = station.inspect(image)
    assert verdict.anomalous
    assert verdict.word == "ANOMALOUS"
    assert verdict.score == pytest.approx(0.9, abs=1e-6)
    np.testing.assert_array_equal(verdict.mask, image[:, :, 0] == 255)


@settings(max_examples=40, deadline=None)
@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))))
def test_map_is_the_picture_in_the_right_layout(station: Station, image: np.ndarray) -> None:
    verdict = station.inspect(image)
    expected = image.astype(np.float64).mean(axis=2) / 255 - 0.1
    np.testing.assert_allclose(verdict.anomaly_map, expected, atol=1e-5)
    assert verdict.score == pytest.approx(expected.max(), abs=1e-5)


def test_channels_are_rgb_and_results_do_not_share_memory(station: Station) -> None:
    red, blue = part(0), part(0)
    red[..., 0], blue[..., 2] = 255, 120
    first = station.inspect(red)
    kept = first.anomaly_map.copy()
    station.inspect(blue)
    np.testing.assert_array_equal(first.anomaly_map, kept)
    np.testing.assert_allclose(kept, 255 / 3 / 255 - 0.1, atol=1e-6)


def test_gray_is_three_equal_channels(station: Station) -> None:
    image = part(40, spot=200)
    gray = station.inspect(image[:, :, 0])
    np.testing.assert_array_equal(gray.anomaly_map, station.inspect(image).anomaly_map)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((1, 3, 4, 4), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 4), np.uint16),
        [[1, 2], [3, 4]],
    ],
)
def test_wrong_arrays_are_refused(station: Station, image: np.ndarray) -> None:
    with pytest.raises(ValueError, match="the station takes uint8"):
        station.inspect(image)


def test_threads_change_nothing_but_are_set(model: Path, station: Station) -> None:
    single = Station(model, threads=1)
    assert single._compiled.get_property("INFERENCE_NUM_THREADS") == 1
    assert single._compiled.get_property("INFERENCE_PRECISION_HINT") == ov.Type.f32
    image = part(51, spot=255)
    np.testing.assert_array_equal(single.inspect(image).anomaly_map, station.inspect(image).anomaly_map)
    with pytest.raises(ValueError, match="threads is 0"):
        Station(model, threads=0)


@pytest.mark.parametrize("output", ["map", "score"])
def test_answers_that_are_not_finite_are_errors(tmp_path: Path, output: str) -> None:
    broken = Station(save_model(tmp_path, black_is_nan=output))
    with pytest.raises(RuntimeError, match="not finite"):
        broken.inspect(part(0))
    assert not broken.inspect(part(90)).anomalous


def test_one_map_value_that_is_not_finite_is_an_error(tmp_path: Path) -> None:
    broken = Station(save_model(tmp_path, black_is_nan="map"))
    with pytest.raises(RuntimeError, match="not finite"):
        broken.inspect(part(90, spot=0))


# --- which model


def test_model_is_found_by_file_folder_or_only_sub_folder(tmp_path: Path) -> None:
    only = save_model(tmp_path / "all" / "pipe_clip")
    for path in (only / "model.xml", only, str(tmp_path / "all")):
        assert Station(path).category == "pipe_clip"
    save_model(tmp_path / "all" / "tank_screw")
    with pytest.raises(ValueError, match=r"several categories \(pipe_clip, tank_screw\): name one"):
        Station(tmp_path / "all")
    with pytest.raises(FileNotFoundError, match=r"no model\.xml at"):
        Station(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (None, "not a model exported by anomalib-federated"),
        ("{", "is not JSON"),
        ([1], "has format None"),
        (MANIFEST | {"format": 2}, "has format 2, this station reads 1"),
        (MANIFEST | {"category": ""}, "has category = ''"),
        (MANIFEST | {"bank_rows": 0}, "has bank_rows = 0"),
        (MANIFEST | {"image_threshold": "0.6"}, "has image_threshold = '0.6'"),
        (json.dumps(MANIFEST | {"pixel_threshold": float("nan")}), "has pixel_threshold = nan"),
    ],
)
def test_models_of_others_are_refused(tmp_path: Path, manifest: object, message: str) -> None:
    save_model(tmp_path, manifest)
    with pytest.raises(ValueError, match=re.escape(message)):
        Station(tmp_path)


def test_models_that_do_not_fit_are_refused(tmp_path: Path, model: Path) -> None:
    with pytest.raises(ValueError, match="the station needs one input 'input'"):
        Station(save_model(tmp_path / "names", map_name="heat"))
    with pytest.raises(ValueError, match="does not compile for device 'TOASTER'"):
        Station(model, device="TOASTER")
    lonely = tmp_path / "lonely" / "model.xml"
    lonely.parent.mkdir()
    lonely.write_bytes((model / "model.xml").read_bytes())
    with pytest.raises(ValueError, match=r"no model\.bin beside"):
        Station(lonely)
    damaged = save_model(tmp_path / "damaged")
    text = (damaged / "model.xml").read_text()
    (damaged / "model.xml").write_text(text[: len(text) // 2])
    with pytest.raises(ValueError, match="cannot be read"):
        Station(damaged)


# --- reading pictures


def test_read_gray_16_bit_is_scaled(tmp_path: Path) -> None:
    values = np.array([[0, 128, 129, 257], [65535, 65407, 65406, 32896]], np.uint16)
    expected = np.rint(values / 257).astype(np.uint8)
    for name in ("a.png", "a.tif"):
        Image.fromarray(values).save(tmp_path / name)
        read = read_image(tmp_path / name)
        assert read.dtype == np.uint8
        np.testing.assert_array_equal(read, np.repeat(expected[:, :, None], 3, axis=2))


def test_read_drops_alpha_and_resolves_palettes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rgba = rng.integers(0, 256, (6, 5, 4), dtype=np.uint8)
    np.testing.assert_array_equal(read_image(save(tmp_path / "rgba.png", rgba)), rgba[..., :3])
    palette = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8)).convert("P")
    palette.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    palette.save(tmp_path / "p.png")
    named = {0: (255, 0, 0), 1: (0, 255, 0), 2: (0, 0, 255)}
    expected = np.array([[named[0], named[1]], [named[2], named[1]]], np.uint8)
    np.testing.assert_array_equal(read_image(tmp_path / "p.png"), expected)
    Image.fromarray(np.array([[True, False]])).save(tmp_path / "bits.png")
    np.testing.assert_array_equal(read_image(tmp_path / "bits.png"), [[[255] * 3, [0] * 3]])


def test_read_applies_exif_orientation(tmp_path: Path) -> None:
    stored = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise by a quarter to view
    Image.fromarray(stored).save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "turned.png"), np.rot90(stored, k=-1))


@pytest.mark.filterwarnings("ignore:Image size")
@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tif", "webp"])
def test_damaged_files_raise_with_their_name(tmp_path: Path, suffix: str) -> None:
    rng = np.random.default_rng(1)
    path = save(tmp_path / f"cut.{suffix}", rng.integers(0, 256, (64, 64, 3), dtype=np.uint8))
    whole = path.read_bytes()
    for length in (0, 1, 20, len(whole) // 2, len(whole) * 9 // 10):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=re.escape(f"{path} cannot be read")):
            read_image(path)
    # Noise in the header may decode or not, but nothing other than ValueError may come out.
    for _ in range(40):
        noisy = np.frombuffer(whole, np.uint8).copy()
        noisy[rng.integers(0, 60, 6)] = rng.integers(0, 256, 6)
        path.write_bytes(noisy.tobytes())
        try:
            read = read_image(path)
        except ValueError:
            continue
        assert read.dtype == np.uint8
        assert read.shape[2] == 3


def test_damage_that_pillow_reports_in_other_ways(tmp_path: Path) -> None:
    bomb = save(tmp_path / "bomb.bmp", part(size=(40, 48)))
    size = b"".join(side.to_bytes(4, "little") for side in (48, 40))
    whole = bomb.read_bytes()
    assert whole.count(size) == 1
    bomb.write_bytes(whole.replace(size, (20_000).to_bytes(4, "little") * 2))
    bad_exif = tmp_path / "exif.webp"
    Image.fromarray(part()).save(bad_exif, exif=b"Exif\x00\x00MM\x19*\x00\x00\x00\x08")
    for path, cause in ((bomb, Image.DecompressionBombError), (bad_exif, SyntaxError)):
        with pytest.raises(ValueError, match=re.escape(f"{path} cannot be read")) as caught:
            read_image(path)
        assert isinstance(caught.value.__cause__, cause)


def test_pictures_without_one_meaning_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "float.tif")
    with pytest.raises(ValueError, match="no defined white level"):
        read_image(tmp_path / "float.tif")
    pages = [Image.fromarray(part(value)) for value in (10, 250)]
    pages[0].save(tmp_path / "pages.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(ValueError, match="holds 2 pictures"):
        read_image(tmp_path / "pages.tif")
    with pytest.raises(ValueError, match="no such file"):
        read_image(tmp_path / "gone.png")


# --- overlay


def drawn(image: np.ndarray, *, anomaly_map: np.ndarray, mask: np.ndarray, anomalous: bool) -> Image.Image:
    verdict = Verdict("pipe_clip", float(anomaly_map.max()), 0.5, anomalous, anomaly_map, mask, 1.0)
    return overlay(image, verdict)


def test_overlay_leaves_a_good_picture_as_it_is() -> None:
    rng = np.random.default_rng(2)
    image = rng.integers(0, 256, (330, 600, 3), dtype=np.uint8)
    flat = np.full((28, 28), 0.2, np.float32)
    shown = drawn(image, anomaly_map=flat, mask=np.zeros((28, 28), bool), anomalous=False)
    assert shown.mode == "RGB"
    assert shown.width > 600
    assert shown.height > 330
    pixels = np.asarray(shown)
    border = (shown.width - 600) // 2
    strip = shown.height - 330 - border
    np.testing.assert_array_equal(pixels[strip : strip + 330, border : border + 600], image)
    red, green, _ = pixels[-1, 0]
    assert green > red


def test_overlay_shows_heat_contour_and_colour_of_a_defect() -> None:
    image = part(128, size=(400, 400))
    anomaly_map = np.full((40, 40), 0.1, np.float32)
    anomaly_map[10:20, 10:20] = 1.0
    pixels = np.asarray(drawn(image, anomaly_map=anomaly_map, mask=anomaly_map > 0.5, anomalous=True)).astype(int)
    assert pixels[-1, 0, 0] > pixels[-1, 0, 1]
    border = (pixels.shape[1] - 400) // 2
    inner = pixels[pixels.shape[0] - 400 - border :, border:][:400, :400]
    assert inner[150, 150, 0] > 150 > inner[150, 150, 2]
    assert (inner[300, 300] == 128).all()
    assert (inner[150, 95:105] == 255).all(axis=1).any()


@pytest.mark.parametrize("size", [(1, 1), (8, 900), (900, 8), (64, 64), (2, 3)])
def test_overlay_of_any_size_has_room_for_its_text(size: tuple[int, int]) -> None:
    image = part(90, size=size)
    shown = drawn(image[:, :, 0], anomaly_map=np.zeros(size, np.float32), mask=np.zeros(size, bool), anomalous=False)
    assert shown.width >= 200
    assert shown.height > 20


# --- the command


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, list[str], list[str]]:
    status = inspect_command("inspect", [str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return status, captured.out.splitlines(), captured.err.splitlines()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    save(folder / "b.png", part(spot=255))
    save(folder / "line 2" / "deep" / "a.JPG", part(size=(400, 350)))
    save(folder / "a.bmp", part())
    (folder / "notes.txt").write_text("not a picture")
    return folder


def test_command_judges_a_folder(
    tmp_path: Path, model: Path, pictures: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = {path.name for path in tmp_path.iterdir()}
    status, out, err = run(capsys, "--model", model, "--input", pictures, "--threads", 1, "--overlays", "inspection")
    assert (status, err, len(out)) == (0, [], 4)
    expected = [
        ("good", "a.bmp", "a.bmp.png"),
        ("ANOMALOUS", "b.png", "b.png"),
        ("good", "line 2/deep/a.JPG", "line 2/deep/a.JPG.png"),
    ]
    for line, (word, name, drawing) in zip(out[:3], expected, strict=True):
        pattern = rf"{word} +score +(\S+)  threshold 0\.500  +[\d.]+ ms  {re.escape(str(pictures / name))}  -> (.+)"
        found = re.fullmatch(pattern, line)
        assert found, line
        assert float(found[1]) == pytest.approx(0.9 if word == "ANOMALOUS" else 60 / 255 - 0.1, abs=0.01)
        assert Path(found[2]) == Path("inspection") / drawing
    assert len({line.index("score") for line in out[:3]}) == 1
    assert re.fullmatch(r"3 inspected, 1 anomalous, 0 unreadable, median [\d.]+ ms", out[3])
    with Image.open(tmp_path / "inspection" / "line 2" / "deep" / "a.JPG.png") as shown:
        shown.load()
        assert shown.format == "PNG"
        assert shown.width > 350
        assert shown.height > 400
    assert {path.name for path in tmp_path.iterdir()} == before | {"inspection"}
    assert len([path for path in (tmp_path / "inspection").rglob("*") if path.is_file()]) == 3


def test_command_goes_on_after_unreadable_pictures(
    tmp_path: Path, model: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cut = save(pictures / "aa.png", np.random.default_rng(3).integers(0, 256, (40, 40, 3), dtype=np.uint8))
    cut.write_bytes(cut.read_bytes()[:-700])
    output = tmp_path / "out"
    status, out, _ = run(capsys, "--model", model, "--input", pictures, "--overlays", output)
    assert status == 2
    assert [line.split()[0] for line in out[:4]] == ["good", "ERROR", "ANOMALOUS", "good"]
    assert str(cut) in out[1]
    assert "cannot be read" in out[1]
    assert out[4].startswith("3 inspected, 1 anomalous, 1 unreadable")
    assert not (output / "aa.png").exists()


def test_command_never_passes_what_the_model_cannot_judge(
    tmp_path: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    black = save(tmp_path / "black.png", part(0))
    status, out, _ = run(capsys, "--model", save_model(tmp_path / "m", black_is_nan="score"), "--input", black)
    assert status == 2
    assert out[0].startswith(f"ERROR      The picture {black} got no verdict")
    assert "good" not in out[0]
    assert out[1] == "0 inspected, 0 anomalous, 1 unreadable, median none"


def test_command_json(tmp_path: Path, model: Path, pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (pictures / "c.webp").write_bytes(b"RIFF")
    status, out, err = run(capsys, "--model", model, "--input", pictures, "--json")
    assert status == 2
    lines = [json.loads(line) for line in out]
    assert [line["verdict"] for line in lines] == ["good", "anomalous", "error", "good"]
    assert [Path(line["path"]).name for line in lines] == ["a.bmp", "b.png", "c.webp", "a.JPG"]
    assert lines[1]["score"] == pytest.approx(0.9, abs=1e-6)
    assert lines[1]["overlay"] is None
    assert [line["number"] for line in lines] == [1, 2, 3, 4]
    # The spot is 12 x 10 pixels at (5, 10) of a picture that the model does not resize.
    assert lines[1]["regions"] == [{"box": [5, 10, 12, 10], "area": 120}]
    assert (lines[1]["category"], lines[1]["model"]) == ("pipe_clip", Station(model).version)
    assert set(lines[1]["milliseconds"]) == {"read", "prepare", "infer", "regions"}
    assert abs(datetime.fromisoformat(lines[0]["time"]) - datetime.now(UTC)) < timedelta(minutes=1)
    common = {"number", "time", "path", "verdict", "category", "model", "milliseconds"}
    assert set(lines[2]) == common | {"error"}
    assert set(lines[0]) == common | {"score", "threshold", "regions", "regions_found", "overlay"}
    assert err[0].startswith("3 inspected, 1 anomalous, 1 unreadable")


def test_command_keeps_overlays_apart(tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "pictures"
    for name in ("x.png", "x.bmp", "x.bmp.png", "y.png"):
        save(folder / name, part())
    output = folder / "drawn"
    for _ in range(2):  # the second run must not inspect the overlays of the first
        assert run(capsys, "--model", model, "--input", folder, "--overlays", output)[0] == 0
        assert sorted(path.name for path in output.iterdir()) == ["x.bmp.png", "x.bmp.png.png", "x.png", "y.png"]


@pytest.mark.parametrize("output", ["pictures", "."])
def test_command_never_overwrites_pictures(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str], output: str
) -> None:
    picture = save(tmp_path / "pictures" / "x.png", part())
    before = picture.read_bytes()
    status, out, err = run(capsys, "--model", model, "--input", picture, "--overlays", tmp_path / output)
    assert (status, out, len(err)) == (2, [], 1)
    assert "another folder as --overlays" in err[0]
    assert picture.read_bytes() == before


def test_command_refuses_what_is_not_there(
    tmp_path: Path, model: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    for arguments, message in (
        (("--model", tmp_path / "none", "--input", pictures), "no model.xml"),
        (("--model", model, "--input", tmp_path / "none"), "no picture and no folder"),
        (("--model", model, "--input", tmp_path / "empty"), "holds no picture"),
        (("--model", model, "--input", pictures, "--threads", 0), "threads is 0"),
        (("--model", model, "--input", pictures, "--device", "TOASTER"), "TOASTER"),
    ):
        status, out, err = run(capsys, *arguments)
        assert (status, out, len(err)) == (2, [], 1), arguments
        assert message in err[0]
    with pytest.raises(SystemExit, match="2"):
        inspect_command("inspect", ["--model", str(model)])


def test_command_file_names_cannot_forge_lines(tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "x\ngood  score 0.000.png").write_bytes(b"")
    status, out, _ = run(capsys, "--model", model, "--input", tmp_path / "p")
    assert (status, len(out)) == (2, 2)
    assert "x\\ngood" in out[0]


BLOCKED_RUN = """
import sys

INSTALLED = {"anomalib_federated", "numpy", "PIL", "openvino", "openvino_telemetry"} | set(sys.stdlib_module_names)

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] not in INSTALLED:
            raise ModuleNotFoundError(f"{name} is not installed on a station", name=name)
        return None

sys.meta_path.insert(0, Blocker())
for name in ("torch", "anomalib", "scipy", "rich", "cv2"):
    try:
        __import__(name)
    except ImportError:
        continue
    raise SystemExit("the blocker does not block")

from anomalib_federated.cli.main import main

sys.exit(main(sys.argv[1:]))
"""


def test_an_installation_without_extras_is_a_stations() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert [re.split("[^a-z]", name)[0] for name in project["dependencies"]] == ["numpy", "openvino", "pillow"]
    assert project["optional-dependencies"]["station"] == []


def test_other_commands_say_what_to_install(tmp_path: Path) -> None:
    command = [sys.executable, "-c", BLOCKED_RUN, "federate", "--config", "x.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 1
    assert "run pip install 'anomalib-federated[train]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_station_runs_without_the_training_stack(tmp_path: Path, model: Path) -> None:
    picture = save(tmp_path / "in" / "x.png", part(spot=255))
    command = [sys.executable, "-c", BLOCKED_RUN, "inspect", "--model", model, "--input", picture]
    command += ["--overlays", tmp_path / "out", "--page", "0", "--state", tmp_path / "state"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("ANOMALOUS")
    assert (tmp_path / "out" / "x.png").is_file()
