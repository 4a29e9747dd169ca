"""The web server of the station's page: it answers GET alone, with one page, the state, and pictures."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from socket import socket
from threading import BoundedSemaphore, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

from anomalib_federated.deploy.page.board import Board

LOCAL = "127.0.0.1"

_MOST_CONNECTIONS = 32
_TIMEOUT = 10  # seconds for a browser to send its question
_PAGE = Path(__file__).with_name("page.html")


@contextmanager
def serve_page(board: Board, *, host: str = LOCAL, port: int = 0) -> Iterator[str]:
    """Answer browsers, in threads of their own, until the block ends.

    Args:
        board: What to show.
        host: Address to listen at. Nobody is asked for a password: whoever reaches it sees parts and verdicts.
        port: Port to listen at; 0 takes a free one.

    Yields:
        The page's URL.

    Raises:
        ValueError: The port is none.
        OSError: Another program has the port, or the machine no such address.
    """
    if not 0 <= port <= 65535:
        msg = f"--page is {port}: give a port from 0 to 65535."
        raise ValueError(msg)
    try:
        server = _Server((host, port), board)
    except OSError as error:
        msg = f"The page cannot be shown at {host}:{port} ({error.strerror}): give another --page or --page-host."
        raise OSError(msg) from error
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    try:
        yield f"http://{host}:{server.server_address[1]}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = _MOST_CONNECTIONS

    def __init__(self, address: tuple[str, int], board: Board) -> None:
        super().__init__(address, _Handler)
        self.board = board
        self.page = _PAGE.read_bytes()
        self.policy = _policy(self.page.decode())
        here = ip_address(str(self.server_address[0]))
        # A page of the internet that has its own name lead to this machine must not read the station.
        self.hosts = {"localhost", str(here)} if here.is_loopback else None
        self._free = BoundedSemaphore(_MOST_CONNECTIONS)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as typeshed has it
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as typeshed has it
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:  # noqa: ANN401
        """A browser that went away is nothing to tell of."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _TIMEOUT
    server_version, sys_version = "station", ""

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        if self.server.hosts is not None and self._host() not in self.server.hosts:
            self._send(HTTPStatus.FORBIDDEN, b"ask for this page by its address", "text/plain")
        elif asked.path == "/":
            self._send(HTTPStatus.OK, self.server.page, "text/html; charset=utf-8")
        elif asked.path == "/state":
            known = parse_qs(asked.query).get("known", [""])[0]
            self._send(HTTPStatus.OK, self.server.board.answer(known), "application/json")
        elif (found := re.fullmatch(r"/picture/(\d{1,15})\.jpg", asked.path, re.ASCII)) and (
            picture := self.server.board.pictures.get(int(found[1]))
        ):
            self._send(HTTPStatus.OK, picture, "image/jpeg")
        else:
            self._send(HTTPStatus.NOT_FOUND, b"there is nothing here", "text/plain")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as http.server wants it
        """Visits are not logged."""

    def _host(self) -> str:
        return self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")

    def _send(self, status: HTTPStatus, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", self.server.policy)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)


def _policy(page: str) -> str:
    """A page that may run its own script and style, load its own pictures and state, and nothing else."""
    sums = {
        kind: " ".join(
            f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
            for text in re.findall(rf"<{kind}>(.*?)</{kind}>", page, re.DOTALL)
        )
        for kind in ("style", "script")
    }
    return (
        f"default-src 'none'; script-src {sums['script']}; style-src {sums['style']}; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
