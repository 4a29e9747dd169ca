"""Downloading AutoVI from a real server on the loopback interface that serves small zips."""

from __future__ import annotations

import hashlib
import io
import re
import socket
import stat
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from anomalib_federated.data.download import download_autovi

CHUNK = 65536  # whole chunks survive a cut
PIXELS = np.random.default_rng(0).bytes(300_000)
FILES = {"train/good/0000.png": PIXELS, "test/good/0001.png": b"good", "ground_truth/missing/0002/0000.png": b"mask"}


class Server(ThreadingHTTPServer):
    """Serves ``files``; keeps the Range header of every request in ``ranges``."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.ranges: list[str | None] = []
        self.honours_range = True
        self.cut_after: list[int] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers["Range"]
        self.server.ranges.append(wanted)
        content = self.server.files.get(self.path.strip("/"))
        if content is None:
            self.send_error(404)
            return
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and self.server.honours_range else 0
        if start >= len(content):
            self.send_error(416)
            return
        body = content[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.server.cut_after:
            body = body[: self.server.cut_after.pop(0)]
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the standard library
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    running = Server()
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


def packed(files: dict[str, bytes], *, prefix: str = "") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(prefix + name, content)
    return buffer.getvalue()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def zipped(server: Server) -> bytes:
    content = packed(FILES, prefix="pipe_clip/")
    server.files["pipe_clip.zip"] = content
    return content


def test_whole_download_of_both_layouts(tmp_path: Path, server: Server, zipped: bytes) -> None:
    other = packed({"train/good/a.png": b"a", "license.txt": b"CC"})
    server.files["tank_screw.zip"] = other
    root = tmp_path / "new" / "AutoVI"
    found = download_autovi(
        root,
        ["tank_screw", "pipe_clip"],
        base_url=f"{server.url}/",
        hashes={"pipe_clip": sha256(zipped).upper(), "tank_screw": sha256(other)},
        progress=False,
    )
    assert found == [root / "tank_screw", root / "pipe_clip"]
    assert contents(root / "pipe_clip") == FILES
    assert contents(root / "tank_screw") == {"train/good/a.png": b"a", "license.txt": b"CC"}
    assert sorted(path.name for path in root.iterdir()) == ["pipe_clip", "tank_screw"]
    assert (root / "tank_screw").stat().st_mode & 0o555 == 0o555
    assert server.ranges == [None, None]


def test_all_categories_are_those_of_anomalib(tmp_path: Path, server: Server, zipped: bytes) -> None:
    from anomalib.data.datasets.image.autovi import CATEGORIES

    content = packed(FILES)
    server.files = {f"{name}.zip": content for name in CATEGORIES}
    found = download_autovi(
        tmp_path, base_url=server.url, hashes=dict.fromkeys(CATEGORIES, sha256(content)), progress=False
    )
    assert [path.name for path in found] == list(CATEGORIES)
    assert all(contents(path) == FILES for path in found)


def test_a_cut_is_resumed_in_the_same_call(tmp_path: Path, server: Server, zipped: bytes) -> None:
    server.cut_after = [100_000]
    download_autovi(tmp_path, ["pipe_clip"], base_url=server.url, hashes={"pipe_clip": sha256(zipped)}, progress=False)
    assert server.ranges == [None, f"bytes={CHUNK}-"]
    assert contents(tmp_path / "pipe_clip") == FILES


def test_a_cut_is_resumed_in_the_next_call(tmp_path: Path, server: Server, zipped: bytes) -> None:
    hashes = {"pipe_clip": sha256(zipped)}
    server.cut_after = [100_000, 0]
    with pytest.raises(ConnectionError, match="try again to go on where it stopped"):
        download_autovi(tmp_path, ["pipe_clip"], base_url=server.url, hashes=hashes, progress=False)
    assert (tmp_path / "pipe_clip.zip.part").read_bytes() == zipped[:CHUNK]
    assert not (tmp_path / "pipe_clip").exists()
    download_autovi(tmp_path, ["pipe_clip"], base_url=server.url, hashes=hashes, progress=False)
    assert server.ranges == [None, f"bytes={CHUNK}-", f"bytes={CHUNK}-"]
    assert [path.name for path in tmp_path.iterdir()] == ["pipe_clip"]


def test_a_server_without_range_starts_again(tmp_path: Path, server: Server, zipped: bytes) -> None:
    server.honours_range = False
    (tmp_path / "pipe_clip.zip.part").write_bytes(zipped[:1000])
    download_autovi(tmp_path, ["pipe_clip"], base_url=server.url, hashes={"pipe_clip": sha256(zipped)}, progress=False)
    assert server.ranges == ["bytes=1000-"]
    assert contents(tmp_path / "pipe_clip") == FILES


def test_a_part_that_is_already_whole_is_used(tmp_path: Path, server: Server, zipped: bytes) -> None:
    (tmp_path / "pipe_clip.zip.part").write_bytes(zipped)
    download_autovi(tmp_path, ["pipe_clip"], base_url=server.url, hashes={"pipe_clip": sha256(zipped)}, progress=False)
    assert contents(tmp_path / "pipe_clip") == FILES


def test_a_wrong_download_is_removed(tmp_path: Path, server: Server, zipped: bytes) -> None:
    with pytest.raises(ValueError, match=f"has sha256 {sha256(zipped)}, not {'0' * 64} as published; it was removed"):
        download_autovi(tmp_path, ["pipe_clip"], base_url=server.url, hashes={"pipe_clip": "0" * 64}, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_zip_of_the_user_is_named_and_kept(tmp_path: Path, server: Server) -> None:
    (tmp_path / "pipe_clip.zip").write_bytes(b"mine")
    with pytest.raises(ValueError, match=r"pipe_clip\.zip has sha256"):
        download_autovi(tmp_path, ["pipe_clip"], base_url=server.url, progress=False)
    assert (tmp_path / "pipe_clip.zip").read_bytes() == b"mine"
    assert server.ranges == []


def link_to_outside() -> zipfile.ZipInfo:
    member = zipfile.ZipInfo("pipe_clip/train/good")
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    return member


@pytest.mark.parametrize(
    "member",
    ["../escaped.png", "pipe_clip/../../escaped.png", "/escaped.png", "..\\escaped.png", "C:/x.png", link_to_outside()],
)
def test_members_that_leave_the_folder_are_refused(tmp_path: Path, member: str | zipfile.ZipInfo) -> None:
    root = tmp_path / "root"
    root.mkdir()
    archive = root / "pipe_clip.zip"
    with zipfile.ZipFile(archive, "w") as writer:
        writer.writestr("pipe_clip/train/good/a.png", b"a")
        writer.writestr(member, "/etc")
    with pytest.raises(ValueError, match="leaves its folder or is a link"):
        download_autovi(root, ["pipe_clip"], hashes={"pipe_clip": sha256(archive.read_bytes())}, progress=False)
    assert list(tmp_path.iterdir()) == [root]
    assert list(root.iterdir()) == [archive]


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"no zip", "not a sound zip"), (packed({"readme.txt": b"hello"}), "holds no folder train")],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "pipe_clip.zip").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        download_autovi(tmp_path, ["pipe_clip"], hashes={"pipe_clip": sha256(content)}, progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["pipe_clip.zip"]


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_offline_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from anomalib.data.datasets.image.autovi import DOWNLOAD_HASHES

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    base_url = f"http://127.0.0.1:{closed_port()}"
    with pytest.raises(ConnectionError) as caught:
        download_autovi(tmp_path, ["pipe_clip"], base_url=base_url, progress=False)
    message = str(caught.value)
    for part in (f"{base_url}/pipe_clip.zip could not be reached", str(tmp_path / "pipe_clip.zip"), "without internet"):
        assert part in message
    assert DOWNLOAD_HASHES["pipe_clip"] in message
    assert len(DOWNLOAD_HASHES["pipe_clip"]) == 64
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_on_the_server_says_so(tmp_path: Path, server: Server) -> None:
    with pytest.raises(ConnectionError, match=re.escape(f"{server.url}/tank_screw.zip answered 404")):
        download_autovi(tmp_path, ["tank_screw"], base_url=server.url, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_a_zip_in_place_needs_no_network_and_stays(tmp_path: Path, server: Server, zipped: bytes) -> None:
    (tmp_path / "pipe_clip.zip").write_bytes(zipped)
    download_autovi(tmp_path, ["pipe_clip"], base_url=server.url, hashes={"pipe_clip": sha256(zipped)}, progress=False)
    assert server.ranges == []
    assert contents(tmp_path / "pipe_clip") == FILES
    assert (tmp_path / "pipe_clip.zip").read_bytes() == zipped


def test_a_category_in_place_is_left_alone(tmp_path: Path, server: Server) -> None:
    (tmp_path / "pipe_clip" / "train").mkdir(parents=True)
    assert download_autovi(tmp_path, ["pipe_clip", "pipe_clip"], base_url=server.url) == [tmp_path / "pipe_clip"]
    assert server.ranges == []
    assert contents(tmp_path / "pipe_clip") == {}


def test_unknown_categories_are_refused(tmp_path: Path, server: Server) -> None:
    with pytest.raises(ValueError, match=r"no category bottle.*choose from engine_wiring"):
        download_autovi(tmp_path / "root", ["bottle"], base_url=server.url)
    with pytest.raises(ValueError, match=r"no category tank_screw, or its sha256 is not known"):
        download_autovi(tmp_path / "root", ["tank_screw"], base_url=server.url, hashes={})
    assert not (tmp_path / "root").exists()


def test_progress_goes_to_stderr(
    tmp_path: Path, server: Server, zipped: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    download_autovi(tmp_path, ["pipe_clip"], base_url=server.url, hashes={"pipe_clip": sha256(zipped)})
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "pipe_clip" in captured.err
