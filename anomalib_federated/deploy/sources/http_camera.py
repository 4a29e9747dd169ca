"""A network camera's pictures by HTTP: one picture an answer, or an endless MJPEG answer."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException, HTTPResponse
from typing import BinaryIO
from urllib.parse import unquote, urlsplit, urlunsplit

import numpy as np
from numpy.typing import NDArray

from anomalib_federated.deploy.sources.newest import Newest
from anomalib_federated.pictures import decode_image

TIMEOUT = 10.0
"""Seconds for a picture to come."""

LARGEST_PICTURE = 64 * 2**20
"""Bytes of an encoded picture at most."""

_LONGEST_LINE = 65536


class HttpCamera:
    """Fetches pictures from a URL.

    Args:
        url: ``http://`` or ``https://``, with ``user:password@`` if the camera asks for them (basic or digest). No
            proxy is used.

    Attributes:
        name: The URL without password and parameters.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            msg = "The camera's URL must begin with http:// or https:// and name a host."
            raise ValueError(msg)
        host = parts.netloc.rpartition("@")[2]
        self.name = urlunsplit((parts.scheme, host, parts.path, "", ""))
        self._url = urlunsplit((parts.scheme, host, parts.path, parts.query, ""))
        self._opener = urllib.request.OpenerDirector()
        passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
        if parts.username is not None:
            passwords.add_password(None, self._url, unquote(parts.username), unquote(parts.password or ""))
        for handler in (
            urllib.request.HTTPHandler(),
            urllib.request.HTTPSHandler(),
            urllib.request.UnknownHandler(),
            urllib.request.HTTPDefaultErrorHandler(),
            urllib.request.HTTPErrorProcessor(),
            urllib.request.HTTPRedirectHandler(),
            urllib.request.HTTPBasicAuthHandler(passwords),
            urllib.request.HTTPDigestAuthHandler(passwords),
        ):
            self._opener.add_handler(handler)
        self._stream: Newest[bytes] | None = None

    def grab(self) -> NDArray[np.uint8]:
        """A picture taken after this call: ``(H, W, 3)`` uint8 RGB.

        Raises:
            OSError: The camera does not answer, or no picture came in time.
            ValueError: What came is no readable picture.
        """
        try:
            data = self._fetch()
        except HTTPException as error:
            msg = f"it answered no HTTP ({type(error).__name__})"
            raise OSError(msg) from error
        return decode_image(data, self.name)

    def close(self) -> None:
        """Let go of the camera."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _fetch(self) -> bytes:
        if self._stream is not None:
            try:
                return self._stream.fresh(TIMEOUT)
            except OSError:
                self.close()  # the next picture tries to connect again
                raise
        response: HTTPResponse = self._opener.open(self._url, timeout=TIMEOUT)
        if response.headers.get_content_type() != "multipart/x-mixed-replace":
            with response:
                return _read_all(response)
        boundary = response.headers.get_boundary()
        if boundary is None:
            response.close()
            msg = "its MJPEG stream names no boundary"
            raise OSError(msg)
        self._stream = Newest(pictures_of(response, boundary.encode()), close=response.close)
        return self._stream.fresh(TIMEOUT)


def pictures_of(stream: BinaryIO, boundary: bytes) -> Iterator[bytes]:
    r"""The parts of a ``multipart/x-mixed-replace`` stream.

    Args:
        stream: The body of the answer.
        boundary: As the answer's head gives it, with or without the two dashes.

    Raises:
        OSError: A part is larger than :data:`LARGEST_PICTURE`, cut short, or says nonsense of its length.

    Example:
        >>> from io import BytesIO
        >>> body = b"--b\r\nContent-Length: 2\r\n\r\nab\r\n--b\r\n\r\ncde\r\n--b--\r\n"
        >>> list(pictures_of(BytesIO(body), b"b"))
        [b'ab', b'cde']
    """
    mark = b"--" + boundary.removeprefix(b"--")
    line = stream.readline(_LONGEST_LINE)
    while line:
        if not line.startswith(mark) or line.startswith(mark + b"--"):
            line = stream.readline(_LONGEST_LINE)
            continue
        length = _read_head(stream)
        if length is None:
            data, line = _read_to_mark(stream, mark)
        else:
            data = stream.read(length)
            if len(data) < length:
                return
            line = stream.readline(_LONGEST_LINE)
        if data:
            yield data


def _read_head(stream: BinaryIO) -> int | None:
    """The length that the head of a part tells."""
    length = None
    while (line := stream.readline(_LONGEST_LINE)).strip():
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            if not value.strip().isdigit() or int(value) > LARGEST_PICTURE:
                msg = f"a picture has a length of {value[:20]!r}"
                raise OSError(msg)
            length = int(value)
    return length


def _read_to_mark(stream: BinaryIO, mark: bytes) -> tuple[bytes, bytes]:
    """A part without a length, and the line that follows it; nothing if the stream ends before."""
    data, line = bytearray(), stream.readline(_LONGEST_LINE)
    while line and not (line.startswith(mark) and (not data or data.endswith(b"\n"))):
        data += line
        if len(data) > LARGEST_PICTURE:
            msg = f"a picture is larger than {LARGEST_PICTURE} bytes"
            raise OSError(msg)
        line = stream.readline(_LONGEST_LINE)
    return (bytes(data).removesuffix(b"\n").removesuffix(b"\r"), line) if line else (b"", b"")


def _read_all(response: HTTPResponse) -> bytes:
    """The whole answer, in :data:`TIMEOUT` seconds however slowly it drips."""
    data, end = bytearray(), time.monotonic() + TIMEOUT
    while block := response.read1(_LONGEST_LINE):
        data += block
        if len(data) > LARGEST_PICTURE:
            msg = f"its picture is larger than {LARGEST_PICTURE} bytes"
            raise OSError(msg)
        if time.monotonic() > end:
            msg = f"its picture did not come whole in {TIMEOUT:.0f} s"
            raise OSError(msg)
    return bytes(data)
