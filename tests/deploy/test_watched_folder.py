"""What a watched folder hands out, with real files and the real clock."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest
from tiny_model import part, save

from anomalib_federated.deploy.sources import watched_folder
from anomalib_federated.deploy.sources.frame import Frame, StillBeingWrittenError
from anomalib_federated.deploy.sources.watched_folder import WatchedFolder

PATIENCE = 20.0  # seconds


class Watch:
    """A watched folder, and a station that judges all that it hands out."""

    def __init__(self, folder: Path, *, settle: float = 0.3, skip: Path | None = None) -> None:
        self.folder, self.judged, self.stop = folder, {}, Event()
        self.source = WatchedFolder(folder, self.judged, settle=settle, skip=skip)
        self.frames = self.source.frames(self.stop)

    def next(self) -> Frame:
        end = time.monotonic() + PATIENCE
        while (frame := next(self.frames)) is None:
            assert time.monotonic() < end, "no picture came"
        return frame

    def judge(self) -> str:
        frame = self.next()
        frame.load()
        self.judged[frame.name] = frame.signature
        return os.path.relpath(frame.name, self.folder)

    def nothing_for(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert next(self.frames) is None


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    (tmp_path / "in").mkdir()
    watch = Watch(tmp_path / "in")
    yield watch
    watch.stop.set()
    assert list(watch.frames) in ([], [None])


def test_each_picture_comes_once_in_the_order_of_writing(watch: Watch) -> None:
    for age, name in ((3, "b.png"), (2, "a.png"), (1, "line 2/c.BMP")):
        path = save(watch.folder / name, part())
        os.utime(path, (time.time() - age, time.time() - age))
    (watch.folder / "notes.txt").write_text("no picture")
    save(watch.folder / ".hidden.png", part())
    assert [watch.judge() for _ in range(3)] == ["b.png", "a.png", "line 2/c.BMP"]
    watch.nothing_for(0.8)
    save(watch.folder / "d.png", part())
    assert watch.judge() == "d.png"


def test_what_was_judged_before_a_restart_does_not_come_again(watch: Watch) -> None:
    save(watch.folder / "a.png", part())
    watch.judge()
    again = Watch(watch.folder)
    again.judged.update(watch.judged)
    again.nothing_for(0.8)
    save(watch.folder / "b.png", part())
    assert again.judge() == "b.png"


def test_a_picture_that_is_written_slowly_comes_when_it_is_whole(watch: Watch, tmp_path: Path) -> None:
    whole = save(tmp_path / "whole.bmp", part(size=(300, 300))).read_bytes()

    def write() -> None:
        with (watch.folder / "slow.bmp").open("wb") as file:
            for start in range(0, len(whole), len(whole) // 10):
                file.write(whole[start : start + len(whole) // 10])
                file.flush()
                time.sleep(0.1)  # less than the time to settle

    writer = Thread(target=write)
    writer.start()
    frame = watch.next()
    assert not writer.is_alive() or (watch.folder / "slow.bmp").stat().st_size == len(whole)
    np.testing.assert_array_equal(frame.load(), part(size=(300, 300)))
    writer.join()


def test_a_picture_that_changes_while_it_waits_comes_later_and_whole(watch: Watch) -> None:
    path = save(watch.folder / "a.png", part(10))
    frame = watch.next()
    save(path, part(200))
    os.utime(path, ns=(0, 1))
    with pytest.raises(StillBeingWrittenError):
        frame.load()
    assert watch.next().load()[0, 0, 0] == 200


def test_another_picture_under_the_same_name_is_another_picture(watch: Watch) -> None:
    path = save(watch.folder / "latest.png", part(10))
    assert watch.judge() == "latest.png"
    save(watch.folder / ".new.png", part(20)).rename(path)
    assert watch.judge() == "latest.png"
    watch.nothing_for(0.6)


def test_renamed_pictures_need_not_settle(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    watch = Watch(tmp_path / "in", settle=0)
    save(tmp_path / "x.png", part()).rename(tmp_path / "in" / "x.png")
    frame = next(watch.frames)  # at the first look
    assert frame is not None
    assert frame.name.endswith("x.png")


def test_pictures_in_flight_are_not_handed_out_again(watch: Watch) -> None:
    save(watch.folder / "a.png", part())
    frame = watch.next()
    watch.nothing_for(0.8)
    watch.judged[frame.name] = frame.signature
    watch.nothing_for(0.3)


def test_a_picture_that_vanishes_before_it_is_read_is_an_error(watch: Watch) -> None:
    path = save(watch.folder / "a.png", part())
    frame = watch.next()
    path.unlink()
    with pytest.raises(ValueError, match=r"a\.png cannot be read \(there is no such file\)"):
        frame.load()


def test_a_folder_that_goes_away_is_trouble_and_its_pictures_are_not_judged_again(watch: Watch) -> None:
    save(watch.folder / "a.png", part())
    watch.judge()
    away = watch.folder.with_name("away")
    watch.folder.rename(away)
    watch.nothing_for(0.5)
    assert watch.source.trouble is not None
    assert "cannot be read" in watch.source.trouble
    away.rename(watch.folder)
    save(watch.folder / "b.png", part())
    assert watch.judge() == "b.png"
    assert watch.source.trouble is None


def test_names_that_are_gone_for_long_are_forgotten(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched_folder, "FORGET", 0.5)
    kept, gone = save(watch.folder / "kept.png", part()), save(watch.folder / "gone.png", part())
    watch.judge()
    watch.judge()
    gone.unlink()
    watch.nothing_for(0.3)
    assert len(watch.judged) == 2
    watch.nothing_for(0.8)
    assert list(watch.judged) == [str(kept)]


def test_overlays_in_the_folder_are_left_out(tmp_path: Path) -> None:
    save(tmp_path / "overlays" / "a.png", part())
    watch = Watch(tmp_path, settle=0, skip=tmp_path / "overlays")
    save(tmp_path / "b.png", part())
    assert watch.judge() == "b.png"
    watch.nothing_for(0.3)


def test_what_cannot_be_watched_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no folder"):
        WatchedFolder(tmp_path / "none", {})
    for settle in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="settle"):
            WatchedFolder(tmp_path, {}, settle=settle)


def test_links_to_folders_are_not_followed(watch: Watch) -> None:
    (watch.folder / "loop").symlink_to(watch.folder)
    shutil.copy(save(watch.folder / "a.png", part()), watch.folder / "sub.txt")
    assert watch.judge() == "a.png"
    watch.nothing_for(0.5)


def test_a_picture_that_changes_in_flight_twice_comes_once(watch: Watch) -> None:
    path = save(watch.folder / "a.png", part(10))
    first = watch.next()  # waits in the queue of a busy station
    save(path, part(200))
    os.utime(path, ns=(0, 1))
    second = watch.next()
    with pytest.raises(StillBeingWrittenError):
        first.load()
    assert second.load()[0, 0, 0] == 200
    watch.nothing_for(0.8)  # the second is in flight still


def test_what_vanished_in_flight_is_forgotten_too(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched_folder, "FORGET", 0.2)
    path = save(watch.folder / "a.png", part())
    away = watch.folder.with_name("a.png")
    frame = watch.next()
    path.rename(away)
    watch.judged[frame.name] = frame.signature
    watch.nothing_for(0.5)
    assert not watch.judged
    away.rename(path)
    assert watch.judge() == "a.png"


def test_a_file_that_cannot_be_looked_at_is_trouble(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    save(watch.folder / "a.png", part())
    watch.judge()

    def gone(path: str) -> None:
        raise OSError(errno.EHOSTDOWN, "Host is down", path)

    with monkeypatch.context() as patched:  # a network share breaks between its listing and the look at its files
        patched.setattr(watched_folder, "_signature", gone)
        watch.nothing_for(0.3)
        assert watch.source.trouble is not None
        assert "a.png cannot be read (Host is down)" in watch.source.trouble
    save(watch.folder / "late.png", part())
    frame = watch.next()
    with monkeypatch.context() as patched:
        patched.setattr(watched_folder, "_signature", gone)
        with pytest.raises(StillBeingWrittenError):  # nobody knows whether it changed while it was read
            frame.load()
    assert watch.judge() == "late.png"
    save(watch.folder / "b.png", part())
    assert watch.judge() == "b.png"
