"""Cameras: real HTTP servers on this machine, and a video file in place of a device."""

from __future__ import annotations

import base64
import itertools
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tiny_model import part, save_model

from anomalib_federated.cli.inspect import run
from anomalib_federated.deploy.sources import device_camera, http_camera
from anomalib_federated.deploy.sources.camera import Camera, open_camera
from anomalib_federated.deploy.sources.device_camera import DeviceCamera
from anomalib_federated.deploy.sources.http_camera import HttpCamera, pictures_of

Answer = Callable[[BaseHTTPRequestHandler], None]


def encoded(value: int) -> bytes:
    data = BytesIO()
    Image.fromarray(part(value)).save(data, format="PNG")
    return data.getvalue()


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], str]]:
    """Starts cameras that answer as they are told."""
    servers = []

    def start(answer: Answer) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                try:
                    answer(self)
                except OSError:
                    self.close_connection = True

            def log_message(self, *args: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}/shot.png?token=secret"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def send(handler: BaseHTTPRequestHandler, data: bytes, kind: str = "image/png", status: int = 200) -> None:
    handler.send_response(status)
    handler.send_header("Content-Type", kind)
    handler.end_headers()
    handler.wfile.write(data)


def drip(handler: BaseHTTPRequestHandler) -> None:
    send(handler, b"")
    for _ in range(30):
        handler.wfile.write(b"x")
        time.sleep(0.1)


def redirect(handler: BaseHTTPRequestHandler, where: str) -> None:
    handler.send_response(302)
    handler.send_header("Location", where)
    handler.end_headers()


def test_each_snapshot_is_a_new_picture(serve: Callable[[Answer], str]) -> None:
    numbers = itertools.count(1)
    camera = HttpCamera(serve(lambda handler: send(handler, encoded(next(numbers)))))
    assert [camera.grab()[0, 0, 0] for _ in range(3)] == [1, 2, 3]
    assert camera.name.endswith("/shot.png")


def test_a_stream_gives_the_picture_of_now(serve: Callable[[Answer], str]) -> None:
    def stream(handler: BaseHTTPRequestHandler) -> None:
        send(handler, b"", "multipart/x-mixed-replace; boundary=frame")
        for number in range(1, 200):
            data = encoded(number)
            length = b"Content-Length: %d\r\n" % len(data) if number % 2 else b""
            handler.wfile.write(b"--frame\r\nContent-Type: image/png\r\n" + length + b"\r\n" + data + b"\r\n")
            time.sleep(0.02)

    camera = HttpCamera(serve(stream))
    first = camera.grab()[0, 0, 0]
    time.sleep(0.5)
    assert camera.grab()[0, 0, 0] >= first + 5  # those in between were passed over
    camera.close()


def test_a_stream_that_ends_is_opened_again(serve: Callable[[Answer], str]) -> None:
    def stream(handler: BaseHTTPRequestHandler) -> None:
        send(handler, b"", "multipart/x-mixed-replace; boundary=frame")
        data = encoded(9)
        handler.wfile.write(b"--frame\r\n\r\n" + data + b"\r\n--frame\r\n")
        time.sleep(0.2)

    camera = HttpCamera(serve(stream))
    assert camera.grab()[0, 0, 0] == 9
    with pytest.raises(OSError, match="the stream has ended"):
        camera.grab()
    assert camera.grab()[0, 0, 0] == 9


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=6), st.booleans(), st.integers(1, 40))
def test_streams_are_cut_into_their_pictures(pictures: list[bytes], with_length: bool, line: int) -> None:  # noqa: FBT001
    body = b""
    for data in pictures:
        length = b"Content-Length: %d\r\n" % len(data) if with_length else b""
        body += b"--abcdefgh\r\nX: y\r\n" + length + b"\r\n" + data + b"\r\n"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(http_camera, "_LONGEST_LINE", max(line, 30))
        assert list(pictures_of(BytesIO(body + b"--abcdefgh--\r\n"), b"--abcdefgh")) == pictures
        cut = list(pictures_of(BytesIO(body[:-3]), b"abcdefgh"))
    assert cut in (pictures, pictures[:-1])


@pytest.mark.parametrize("length", [b"-1", b"x", b"99999999999", b"1e3"])
def test_nonsense_in_a_stream_is_an_error(length: bytes) -> None:
    with pytest.raises(OSError, match="length"):
        list(pictures_of(BytesIO(b"--b\r\nContent-Length: " + length + b"\r\n\r\nx"), b"b"))


def test_passwords_are_given_and_not_shown(serve: Callable[[Answer], str]) -> None:
    def guarded(handler: BaseHTTPRequestHandler) -> None:
        if handler.headers.get("Authorization") == "Basic " + base64.b64encode(b"me:p@ss").decode():
            send(handler, encoded(5))
        else:
            handler.send_response(401)
            handler.send_header("WWW-Authenticate", 'Basic realm="camera"')
            handler.end_headers()

    url = serve(guarded)
    camera = HttpCamera(url.replace("http://", "http://me:p%40ss@"))
    assert camera.grab()[0, 0, 0] == 5
    assert "p%40ss" not in camera.name
    assert "secret" not in camera.name
    with pytest.raises(OSError, match="401"):
        HttpCamera(url).grab()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda handler: send(handler, b"no", status=500), "500"),
        (lambda handler: send(handler, b"<html>busy</html>", "text/html"), "cannot be read"),
        (lambda handler: send(handler, encoded(1)[:50]), "cannot be read"),
        (lambda handler: send(handler, bytes(5000)), "larger than"),
        (lambda handler: handler.wfile.write(b"SSH-2.0\r\n"), "no HTTP"),
        (lambda handler: send(handler, b"", "multipart/x-mixed-replace"), "names no boundary"),
        (lambda handler: time.sleep(3), "timed out"),
        (drip, "did not come whole"),
        (lambda handler: redirect(handler, "file:///etc/passwd"), "(not allowed|302)"),
        (lambda handler: redirect(handler, "ftp://127.0.0.1/x"), "(ftp|unknown)"),
    ],
)
def test_what_is_no_picture_is_an_error(
    serve: Callable[[Answer], str], answer: Answer, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_camera, "TIMEOUT", 0.5)
    monkeypatch.setattr(http_camera, "LARGEST_PICTURE", 4000)
    with pytest.raises((OSError, ValueError), match=message):
        HttpCamera(serve(answer)).grab()


class Fake:
    name = "fake"

    def __init__(self, fail: set[int]) -> None:
        self.fail, self.asked, self.closed = fail, 0, False

    def grab(self) -> np.ndarray:
        self.asked += 1
        if self.asked in self.fail:
            msg = "unplugged"
            raise OSError(msg)
        return part(self.asked)

    def close(self) -> None:
        self.closed = True


def test_frames_fall_due_and_failures_are_errors_that_become_rarer() -> None:
    fake, stop = Fake(fail={2, 3}), Event()
    camera = Camera(fake, interval=0.01)
    due, seen = [], []
    for frame in camera.frames(stop):
        if frame is None:
            continue
        due.append(time.monotonic())
        try:
            seen.append(int(frame.load()[0, 0, 0]))
            assert camera.trouble is None
        except ValueError as error:
            seen.append(str(error))
            assert camera.trouble is not None
        if len(seen) == 4:
            stop.set()
    assert seen[0] == 1
    assert seen[1] == "The camera fake gave no picture 2 (unplugged): check it and the network."
    assert seen[3] == 4
    waits = np.diff(due)
    assert waits[0] < 1.0
    assert waits[2] >= 2.0  # after the first failure seconds are let pass
    assert fake.closed


def test_a_video_stands_for_a_device(tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    path = tmp_path / "video.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, (64, 48))
    for _ in range(2000):
        writer.write(np.full((48, 64, 3), (200, 30, 10), np.uint8))  # blue, green, red
    writer.release()
    camera = DeviceCamera(str(path), name="video")
    picture = camera.grab()
    assert picture.shape == (48, 64, 3)
    assert np.abs(picture[20, 20].astype(int) - (10, 30, 200)).max() < 12
    camera.close()
    with pytest.raises(OSError, match="cannot be opened"):
        DeviceCamera(str(tmp_path / "none.avi"), name="none").grab()


def test_opencv_is_asked_for_only_where_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> object:
        raise ImportError(name)

    monkeypatch.setattr(device_camera, "import_module", missing)
    open_camera("http://10.0.0.7/shot.jpg")
    for address in ("0", "/dev/video0", "rtsp://me:secret@10.0.0.7/stream"):
        with pytest.raises(
            ValueError, match="needs OpenCV: run pip install 'anomalib-federated\\[camera\\]'"
        ) as caught:
            open_camera(address)
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize("address", ["", "camera", "ftp://host/x", "file:///etc/passwd", "http://", "-1", "rtsp://"])
def test_addresses_of_no_camera_are_refused(address: str) -> None:
    with pytest.raises(ValueError, match=r"--camera is|URL must"):
        open_camera(address)


def test_the_command_judges_what_a_camera_sees(
    serve: Callable[[Answer], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = itertools.cycle([60, 250])
    taken = itertools.count(1)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        if next(taken) == 4:
            os.kill(os.getpid(), signal.SIGTERM)
        send(handler, encoded(next(values)))

    model = save_model(tmp_path / "exported")
    command = ["--model", str(model), "--camera", serve(answer), "--interval", "0.05", "--json"]
    status = run("inspect", [*command, "--overlays", str(tmp_path / "overlays"), "--state", str(tmp_path / "state")])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert status == 0
    assert [line["verdict"] for line in lines] == ["good", "anomalous", "good", "anomalous"]
    assert lines[0]["frame"].endswith("/shot.png#1")
    assert len(list((tmp_path / "overlays").iterdir())) == len({line["overlay"] for line in lines}) == 4
