"""200 broken files: never a pass, never a hang, never an end of the station."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from broken_pictures import SUFFIXES, encoded, special, write_broken
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tiny_model import part, save, save_model

from anomalib_federated.cli.inspect import run
from anomalib_federated.pictures import decode_image, read_image

pytestmark = pytest.mark.filterwarnings("ignore")
INSPECT = [sys.executable, "-m", "anomalib_federated.cli.main", "inspect"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("exported"))


@pytest.mark.parametrize("mode", ["latency", "throughput"])
def test_files(tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str], mode: str) -> None:
    broken = write_broken(tmp_path / "in")
    good = [save(tmp_path / "in" / f"{place}_good.png", part()) for place in ("000", "100", "zzz")]
    status = run("inspect", ["--model", str(model), "--input", str(tmp_path / "in"), "--json", "--mode", mode])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert status == 2
    assert len(broken) >= 200
    assert [line["path"] for line in lines] == sorted(map(str, [*broken, *good]))
    assert {line["path"] for line in lines if line["verdict"] != "error"} == set(map(str, good))
    assert all(line["verdict"] == "good" for line in lines if line["path"] in set(map(str, good)))
    assert all("cannot be read" in line["error"] for line in lines if line["verdict"] == "error")
    assert [line["number"] for line in lines] == list(range(1, len(lines) + 1))


def test_watched_folder_goes_on(tmp_path: Path, model: Path) -> None:
    folder = tmp_path / "in"
    broken = write_broken(folder, seed=1)
    command = [*INSPECT, "--model", model, "--watch", folder, "--json", "--settle", "0.2", "--threads", "1"]
    with subprocess.Popen([*command, "--state", tmp_path / "state"], stdout=subprocess.PIPE, text=True) as station:
        assert station.stdout is not None
        lines = [json.loads(station.stdout.readline()) for _ in broken]
        save(tmp_path / "last.png", part(spot=255)).rename(folder / "last.png")
        last = json.loads(station.stdout.readline())
        station.terminate()
        assert station.wait(timeout=30) == 0
    assert Counter(line["verdict"] for line in lines) == {"error": len(broken)}
    assert {line["path"] for line in lines} == set(map(str, broken))
    assert (last["verdict"], last["path"]) == ("anomalous", str(folder / "last.png"))
    counts = json.loads((tmp_path / "state" / "snapshot.json").read_text())["counts"]
    assert counts == {"good": 0, "anomalous": 1, "error": len(broken)}


@settings(max_examples=150)
@given(
    st.sampled_from(sorted(SUFFIXES)),
    st.integers(0, 3),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=8),
)
def test_flipped_bytes_raise_value_error_or_give_a_picture(
    kind: str, seed: int, flips: list[tuple[float, int]]
) -> None:
    noisy = bytearray(encoded(np.random.default_rng(seed), kind))
    for place, flip in flips:
        noisy[int(place * len(noisy))] ^= flip
    try:
        image = decode_image(bytes(noisy), "noisy")
    except ValueError:
        return
    assert image.dtype == np.uint8
    assert image.ndim == 3


def test_cmyk_and_wrong_suffixes_are_read_by_content(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 6), (0, 255, 255, 0)).save(tmp_path / "red.jpg")
    red, green, _ = read_image(tmp_path / "red.jpg")[0, 0]
    assert red > 200
    assert green < 60
    data = BytesIO()
    Image.fromarray(part(7)).save(data, format="PNG")
    (tmp_path / "png.jpg").write_bytes(data.getvalue())
    np.testing.assert_array_equal(read_image(tmp_path / "png.jpg"), part(7))


def test_pipes_and_large_files_are_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anomalib_federated.pictures.LARGEST_FILE", 1000)
    (tmp_path / "large.png").write_bytes(bytes(1001))
    with pytest.raises(ValueError, match="larger than"):
        read_image(tmp_path / "large.png")
    (tmp_path / "special").mkdir()
    pipe = special(tmp_path / "special")[1]
    for path in (pipe, "/dev/zero"):
        with pytest.raises(ValueError, match="not a regular file"):
            read_image(path)


def test_what_would_start_another_program_is_no_picture(tmp_path: Path) -> None:
    Image.new("RGB", (20, 20), "white").save(tmp_path / "part.png", format="EPS")
    with pytest.raises(ValueError, match=r"not a known picture format"):  # Pillow reads EPS through Ghostscript
        read_image(tmp_path / "part.png")
