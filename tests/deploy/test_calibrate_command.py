"""``calibrate`` on a tiny model whose score is the brightest pixel: what it prints and writes, and what it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import beta
from test_station import BLOCKED_RUN
from tiny_model import part, save, save_model

from anomalib_federated.cli.calibrate import run as calibrate_command
from anomalib_federated.cli.inspect import run as inspect_command
from anomalib_federated.deploy.calibration import Calibration
from anomalib_federated.deploy.outliers import far_out
from anomalib_federated.deploy.station import Station


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("exported"))


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """100 pictures whose brightest pixels are 100 .. 199, and whose scores are these / 255 - 0.1."""
    folder = tmp_path_factory.mktemp("good")
    for number in range(100):
        save(folder / f"{number:03d}.png", part(40, spot=100 + number, size=(24, 24)))
    return folder


def score_of(brightest: float) -> float:
    return brightest / 255 - 0.1


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, list[str], list[str]]:
    status = calibrate_command("calibrate", [str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return status, captured.out.splitlines(), captured.err.splitlines()


def test_what_is_printed_and_written(
    tmp_path: Path, model: Path, good: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "line" / "c.json"
    status, out, err = run(capsys, "--model", model, "--input", good, "--output", path, "--station", "line 3")
    assert (status, err) == (0, [])
    found = Calibration.load(path)
    assert (found.category, found.station, found.model_version) == ("pipe_clip", "line 3", Station(model).version)
    assert (found.pictures, found.false_alarm_rate, found.confidence) == (100, 0.05, 0.95)
    np.testing.assert_allclose(found.scores, score_of(100 + np.arange(100)), atol=1e-6)
    assert found.peaks == found.scores
    # The fifth highest: 5 / 101 are expected.
    assert found.threshold == found.pixel_threshold == pytest.approx(score_of(195), abs=1e-4)
    assert found.upper_bound == pytest.approx(beta.ppf(0.95, 5, 96))
    assert out == [
        f"pipe_clip at line 3, model {found.model_version}: 100 good pictures",
        "threshold 0.6647, of pixels 0.6647",
        "  on average 4.95 % of good parts will be called bad",
        "  with 95 % confidence at most 8.92 % of good parts will be called bad",
        "  to make sure of 5 %: --at_most 0.05, threshold 0.6765",
        "",
        "  wish  threshold  on average  at most",
        "   1 %     0.6804      0.99 %   2.95 %",
        "   5 %     0.6647      4.95 %   8.92 %",
        "  10 %     0.6451       9.9 %   15.2 %",
        f"written to {path}",
    ]


def test_the_station_then_alarms_at_its_own_threshold(
    tmp_path: Path, model: Path, good: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, "--model", model, "--input", good, "--output", tmp_path / "c.json")[0] == 0
    arguments = ["--model", model, "--input", good, "--calibration", tmp_path / "c.json", "--json"]
    assert inspect_command("inspect", list(map(str, arguments))) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [Path(line["path"]).stem for line in lines if line["verdict"] == "anomalous"] == ["096", "097", "098", "099"]


def test_being_sure(tmp_path: Path, model: Path, good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "c.json"
    status, out, err = run(capsys, "--model", model, "--input", good, "--output", path, "--at_most", 0.05)
    assert (status, err) == (0, [])
    assert Calibration.load(path).threshold == pytest.approx(score_of(198), abs=1e-4)
    assert Calibration.load(path).upper_bound <= 0.05
    assert out[3] == "  with 95 % confidence at most 4.66 % of good parts will be called bad"
    looser = run(capsys, "--model", model, "--input", good, "--output", path, "--at_most", 0.05, "--confidence", 0.5)
    assert looser[0] == 0
    assert Calibration.load(path).threshold == pytest.approx(score_of(195), abs=1e-4)


def test_too_few_pictures(tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(12):
        save(tmp_path / "in" / f"{number}.png", part(100 + number))
    path = tmp_path / "c.json"
    status, out, err = run(capsys, "--model", model, "--input", tmp_path / "in", "--output", path)
    assert status == 0
    assert err == [
        "warning: 12 pictures are too few for 5 %: the threshold is above all of them, and 7.69 % of good parts will "
        "be called bad on average; 7 more are needed."
    ]
    assert "  47 more pictures would let you make sure of 5 %: --at_most 0.05" in out
    assert "   1 %  takes 87 more pictures" in out
    assert Calibration.load(path).threshold == pytest.approx(score_of(111), abs=1e-4)
    before = path.read_bytes()
    status, out, err = run(
        capsys, "--model", tmp_path / "none", "--input", tmp_path / "in", "--output", path, "--at_most", 0.05
    )
    assert (status, out, len(err)) == (2, [], 1)
    assert "12 normal pictures cannot make sure of at most 0.05 false alarms" in err[0]
    assert "give at least 59" in err[0]
    assert path.read_bytes() == before


def test_a_picture_without_a_score_is_an_error_and_nothing_is_written(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, path = tmp_path / "in", tmp_path / "c.json"
    for number in range(30):
        save(folder / f"{number}.png", part(100 + number))
    (folder / "cut\nwritten to.png").write_bytes((folder / "3.png").read_bytes()[:60])
    status, out, err = run(capsys, "--model", model, "--input", folder, "--output", path)
    assert (status, out, len(err)) == (2, [], 1)
    assert err[0].startswith("error: The picture ")
    assert r"cut\nwritten to.png cannot be read" in err[0]
    (folder / "cut\nwritten to.png").unlink()
    save(folder / "black.png", part(0))
    blind = save_model(tmp_path / "blind", black_is_nan="score")
    status, out, err = run(capsys, "--model", blind, "--input", folder, "--output", path)
    assert (status, out, len(err)) == (2, [], 1)
    assert "black.png got no score" in err[0]
    assert not path.exists()


def test_pictures_that_stand_far_out_and_copies_are_told_of_but_kept(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(40):
        save(tmp_path / "in" / f"{number:02d}.png", part(100 + number % 30))
    save(tmp_path / "in" / "scratch.png", part(100, spot=255))
    save(tmp_path / "in" / "dent.png", part(100, spot=240))
    path = tmp_path / "c.json"
    status, _, err = run(capsys, "--model", model, "--input", tmp_path / "in", "--output", path)
    assert status == 0
    assert err == [
        "warning: 2 of the pictures stand far out. Are these parts good? If not, take them away and calibrate again:",
        f"  score 0.9000  {tmp_path / 'in' / 'scratch.png'}",
        f"  score 0.8412  {tmp_path / 'in' / 'dent.png'}",
        "warning: 10 of the pictures score exactly as another one: take copies away, they make the calibration look "
        "surer than it is.",
    ]
    assert Calibration.load(path).pictures == 42


def test_far_out_is_as_tukey_has_it() -> None:
    raw = np.concatenate([np.random.default_rng(0).normal(3, 0.1, size=200), [4, 5]])
    lower, upper = np.quantile(raw, [0.25, 0.75])
    expected = np.flatnonzero(raw > upper + 3 * (upper - lower))
    assert far_out((raw / (1 + raw)).tolist()) == expected[::-1].tolist() == [201, 200]
    assert far_out([1.0, 0.1, 0.1, 0.1]) == []
    assert far_out([0.1] * 9 + [1.0]) == [9]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--false_alarm_rate", 0), "false-alarm rate is 0"),
        (("--false_alarm_rate", "nan"), "false-alarm rate is nan"),
        (("--at_most", 1), "false-alarm rate is 1"),
        (("--confidence", 0.2), "confidence is 0.2"),
        (("--station", "a\nb"), "station is 'a"),
        (("--category", "other"), "no model.xml"),
        (("--input", "/nowhere"), "no picture and no folder at /nowhere"),
        (("--output", "/proc/none/c.json"), "/proc/none"),
    ],
)
def test_what_cannot_be_is_refused(
    tmp_path: Path, model: Path, good: Path, arguments: tuple[str, object], message: str
) -> None:
    given = {"--model": model, "--input": good, "--output": tmp_path / "c.json"} | dict([arguments])
    words = [str(word) for pair in given.items() for word in pair]
    done = subprocess.run(
        [sys.executable, "-m", "anomalib_federated.cli.main", "calibrate", *words],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "c.json").exists()


def test_both_wishes_at_once_are_refused(tmp_path: Path, model: Path, good: Path) -> None:
    words = ["--model", model, "--input", good, "--output", tmp_path / "c.json"]
    with pytest.raises(SystemExit, match="2"):
        calibrate_command("calibrate", [*map(str, words), "--at_most", "0.1", "--false_alarm_rate", "0.1"])


def test_it_runs_without_the_training_stack(tmp_path: Path, model: Path, good: Path) -> None:
    words = ["calibrate", "--model", model, "--input", good, "--output", tmp_path / "c.json"]
    done = subprocess.run([sys.executable, "-c", BLOCKED_RUN, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert Calibration.load(tmp_path / "c.json").pictures == 100
