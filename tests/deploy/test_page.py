"""The page's server, asked by plain HTTP."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
import time
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from tiny_model import save_model

from anomalib_federated.deploy.page import server as server_module
from anomalib_federated.deploy.page.board import Board
from anomalib_federated.deploy.page.last_pictures import LastPictures
from anomalib_federated.deploy.page.server import serve_page
from anomalib_federated.deploy.record import LAST_PARTS, Record
from anomalib_federated.deploy.station import Station


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Station:
    return Station(save_model(tmp_path_factory.mktemp("exported")))


@pytest.fixture
def board(station: Station) -> Board:
    return Board(station, Record(), source="/in", folder=None)


@pytest.fixture
def address(board: Board) -> Iterator[tuple[str, int]]:
    with serve_page(board) as url:
        parts = urlsplit(url)
        yield str(parts.hostname), int(parts.port or 0)


def ask(address: tuple[str, int], path: str, *, method: str = "GET", **headers: str) -> tuple[HTTPResponse, bytes]:
    connection = HTTPConnection(*address, timeout=10)
    connection.request(method, path, headers=headers)
    response = connection.getresponse()
    return response, response.read()


def add_part(board: Board, record: Record, name: str = "a.png") -> None:
    number = record.number + 1
    record.add(
        {
            "number": number,
            "time": "2026-01-01T00:00:00Z",
            "path": name,
            "verdict": "good",
            "score": 0.2,
            "threshold": 0.5,
        }
    )
    board.take(number, b"jpeg %d" % number)


def test_the_page_may_run_its_own_script_and_nothing_else(address: tuple[str, int]) -> None:
    response, body = ask(address, "/")
    assert response.status == 200
    policy = dict(part.split(" ", 1) for part in response.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == policy["frame-ancestors"] == "'none'"
    assert not re.search("unsafe|http|\\*", response.headers["Content-Security-Policy"])
    text = body.decode()
    for kind in ("script", "style"):
        (content,) = re.findall(f"<{kind}>(.*?)</{kind}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert policy[f"{kind}-src"] == f"'sha256-{digest}'"
    assert not re.search(r"(src|href)=[\"'](?!data:,)", text.partition("<script>")[0])
    assert "innerHTML" not in text
    assert not re.search(r"\son\w+=|style=", text)
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_the_state_is_sent_when_it_is_new(address: tuple[str, int], station: Station, board: Board) -> None:
    first = json.loads(ask(address, "/state")[1])
    assert first["state"]["about"] | {"started": ""} == {
        "category": "pipe_clip",
        "model": station.version,
        "threshold": 0.5,
        "calibrated": False,
        "source": "/in",
        "started": "",
    }
    assert first["state"]["parts"] == []
    assert "state" not in json.loads(ask(address, f"/state?known={quote(first['version'])}")[1])
    add_part(board, board._record, "<b>\udcff.png")
    second = json.loads(ask(address, f"/state?known={quote(first['version'])}")[1])
    assert second["state"]["parts"][0]["path"] == "<b>\udcff.png"
    assert second["state"]["counts"] == {"good": 1, "anomalous": 0, "error": 0}
    assert second["state"]["history"] == [[1, "good", 0.2, 0.5]]
    assert ask(address, "/picture/1.jpg")[1] == b"jpeg 1"


def test_it_tells_how_long_the_station_has_been_silent(address: tuple[str, int], board: Board) -> None:
    board.beat("The folder is gone.")
    time.sleep(0.2)
    answer = json.loads(ask(address, "/state")[1])
    assert answer["quiet"] >= 0.2
    assert answer["trouble"] == "The folder is gone."
    board.beat(None)
    answer = json.loads(ask(address, "/state")[1])
    assert answer["quiet"] < 0.2
    assert answer["trouble"] is None


@pytest.mark.parametrize(
    "path",
    [
        "/picture/9.jpg",
        "/picture/../../etc/passwd",
        "/picture/-1.jpg",
        "/%2e%2e/x",
        "/favicon.ico",
        "/picture/1x.jpg",
    ],
)
def test_there_is_nothing_else(address: tuple[str, int], path: str) -> None:
    assert ask(address, path)[0].status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "X"])
def test_it_can_only_be_read(address: tuple[str, int], method: str) -> None:
    assert ask(address, "/state", method=method)[0].status == 501


@pytest.mark.parametrize(
    ("host", "status"), [("evil.example", 403), ("evil.example:80", 403), ("localhost", 200), ("", 403)]
)
def test_pages_of_other_names_may_not_read_it(address: tuple[str, int], host: str, status: int) -> None:
    assert ask(address, "/state", Host=host)[0].status == status


def test_many_silent_connections_do_not_stop_it(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module._Handler, "timeout", 1)
    with serve_page(board) as url:
        parts = urlsplit(url)
        address = (str(parts.hostname), int(parts.port or 0))
        silent = [socket.create_connection(address) for _ in range(60)]
        end = time.monotonic() + 30
        while True:
            try:
                assert ask(address, "/state")[0].status == 200
                break
            except OSError:
                assert time.monotonic() < end
                time.sleep(0.1)
        for one in silent:
            one.close()


def test_ports_that_cannot_be_had_are_refused(board: Board, address: tuple[str, int]) -> None:
    with (
        pytest.raises(OSError, match=r"cannot be shown at 127\.0\.0\.1:.*another --page"),
        serve_page(board, port=address[1]),
    ):
        pass
    for port in (-1, 65536):
        with pytest.raises(ValueError, match="0 to 65535"), serve_page(board, port=port):
            pass


def test_pictures_are_few_and_survive_a_restart(tmp_path: Path) -> None:
    pictures = LastPictures(tmp_path, last=0)
    for number in range(1, LAST_PARTS + 11):
        pictures.add(number, b"%d" % number)
    assert pictures.get(10) is None
    assert len(list(tmp_path.iterdir())) == LAST_PARTS
    # The last part was not recorded before a kill: it will be judged again, and its picture with it.
    again = LastPictures(tmp_path, last=LAST_PARTS + 9)
    assert again.get(LAST_PARTS + 10) is None
    assert again.get(LAST_PARTS + 9) == b"%d" % (LAST_PARTS + 9)
