"""``inspect`` where its folders, names and options could lead it astray."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny_model import MANIFEST, part, save, save_model

from anomalib_federated.cli.inspect import run
from anomalib_federated.deploy.overlay_folder import OverlayFolder
from anomalib_federated.deploy.sources.frame import Frame


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("exported"))


@pytest.mark.parametrize("option", ["--input", "--watch"])
@pytest.mark.parametrize("folders", [("in", "in"), ("in", "in/state"), ("state/pictures", "state")])
def test_the_state_is_kept_apart_from_the_pictures(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, folders: tuple[str, str]
) -> None:
    where, kept = (str(tmp_path / folder) for folder in folders)
    picture = save(Path(where, "part.jpg"), part())
    assert run("inspect", ["--model", str(model), option, where, "--state", kept, "--page", "0"]) == 2
    assert "give another folder as --state" in capsys.readouterr().err
    assert picture.exists(), "the page's small pictures are tidied up in the state"


def test_one_picture_may_lie_beside_its_state(model: Path, tmp_path: Path) -> None:
    picture = save(tmp_path / "part.png", part())
    assert run("inspect", ["--model", str(model), "--input", str(picture), "--state", str(tmp_path / "state")]) == 0


def test_a_cameras_password_is_not_kept(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anomalib_federated.cli.inspect.inspect_all", lambda *given, **named: None)  # it would not end
    options = ["--model", str(model), "--state", str(tmp_path / "state"), "--camera"]
    assert run("inspect", [*options, "http://me:s3cret@127.0.0.1:9/shot.jpg?token=t0ken"]) == 0
    assert run("inspect", [*options, "http://me:s3cret@127.0.0.1:9/other.jpg?token=t0ken"]) == 2
    captured = capsys.readouterr()
    assert "http://127.0.0.1:9/shot.jpg" in captured.err
    kept = b"".join(path.read_bytes() for path in (tmp_path / "state").iterdir())
    for secret in ("s3cret", "t0ken"):
        assert secret.encode() not in kept
        assert secret not in captured.out + captured.err


def test_every_line_is_json_whatever_the_name(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = save(tmp_path / "a\x7f\x85\u2028\udcff\x1b.png", part())
    assert run("inspect", ["--model", str(model), "--input", str(picture), "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["path"] == str(picture)


def test_a_model_of_another_category_than_was_asked_for_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_model(tmp_path / "exported" / "screw", MANIFEST | {"category": "pipe_clip"})
    picture = save(tmp_path / "part.png", part())
    options = ["--model", str(tmp_path / "exported"), "--category", "screw", "--input", str(picture)]
    assert run("inspect", options) == 2
    assert "is of category 'pipe_clip', not 'screw'" in capsys.readouterr().err


def test_frames_of_one_millisecond_have_overlays_of_their_own(tmp_path: Path) -> None:
    overlays = OverlayFolder(tmp_path, root=None)
    time = "2026-01-01T00:00:00.000Z"
    targets = {overlays._target(Frame("frame", f"camera 0#{number}", part), time) for number in range(3)}
    assert len(targets) == 3
    assert {target.parent for target in targets} == {tmp_path}
