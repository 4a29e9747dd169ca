"""A camera that is asked for a picture at a fixed interval."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from threading import Event, Lock
from typing import Protocol
from urllib.parse import urlsplit, urlunsplit

import numpy as np
from numpy.typing import NDArray

from anomalib_federated.deploy.sources.device_camera import DeviceCamera
from anomalib_federated.deploy.sources.frame import Frame
from anomalib_federated.deploy.sources.http_camera import HttpCamera

INTERVAL = 1.0
"""Seconds from picture to picture."""

_LONGEST_PAUSE = 30.0  # seconds between two tries to reach a camera that does not answer
_LOOK = 0.1


class Grabber(Protocol):
    """What takes one picture."""

    name: str

    def grab(self) -> NDArray[np.uint8]:
        """A picture taken now; raises OSError or ValueError if there is none."""
        ...

    def close(self) -> None:
        """Let go of the camera."""
        ...


def open_camera(address: str, *, interval: float = INTERVAL) -> Camera:
    """The camera that an address means; nothing is opened before the first picture.

    Args:
        address: ``http://`` or ``https://`` URL of a picture or an MJPEG stream; ``rtsp://`` URL, the number of a
            device or its path such as ``/dev/video0``, which need OpenCV.
        interval: Seconds from picture to picture.

    Raises:
        ValueError: The address means no camera, the interval is none, or OpenCV is needed and not installed.

    Example:
        >>> open_camera("http://admin:secret@10.0.0.7/snapshot.jpg").name
        'http://10.0.0.7/snapshot.jpg'
    """
    parts = urlsplit(address)
    if parts.scheme in {"http", "https"}:
        return Camera(HttpCamera(address), interval=interval)
    if parts.scheme in {"rtsp", "rtsps"} and parts.hostname:
        name = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
        return Camera(DeviceCamera(address, name=name), interval=interval)
    if address.isdecimal():
        return Camera(DeviceCamera(int(address), name=f"camera {address}"), interval=interval)
    if address.startswith("/dev/"):
        return Camera(DeviceCamera(address, name=address), interval=interval)
    msg = f"--camera is {address!r}: give an http://, https:// or rtsp:// URL, a device's number, or its path in /dev."
    raise ValueError(msg)


class Camera:
    """Hands out a picture at each interval. One that does not come is an error, and then the tries become rarer.

    Args:
        grabber: What takes the pictures.
        interval: Seconds from picture to picture; pictures that judging has no time for are not taken.
    """

    def __init__(self, grabber: Grabber, *, interval: float) -> None:
        if not 0 <= interval <= 86400:
            msg = f"interval is {interval}: give seconds, from 0 to a day."
            raise ValueError(msg)
        self.name = grabber.name
        self.trouble: str | None = None
        self._grabber, self._interval = grabber, interval
        self._one_at_a_time = Lock()
        self._failures = 0

    def frames(self, stop: Event) -> Iterator[Frame | None]:
        """Frames as they fall due, None in between."""
        due, number = time.monotonic(), 0
        try:
            while not stop.is_set():
                now = time.monotonic()
                if now < due:
                    yield None
                    stop.wait(min(due - now, _LOOK))
                    continue
                number += 1
                yield Frame("frame", f"{self.name}#{number}", partial(self._take, number))
                due = max(due + self._interval, now, now + self._pause())
        finally:
            self._grabber.close()

    def _pause(self) -> float:
        return min(2.0**self._failures, _LONGEST_PAUSE) if self._failures else 0.0

    def _take(self, number: int) -> NDArray[np.uint8]:
        with self._one_at_a_time:
            try:
                picture = self._grabber.grab()
            except (OSError, ValueError) as error:
                self._failures = min(self._failures + 1, 10)
                reason = str(error).rstrip(".")
                self.trouble = f"The camera {self.name} gave no picture ({reason}): check it and the network."
                msg = f"The camera {self.name} gave no picture {number} ({reason}): check it and the network."
                raise ValueError(msg) from error
            self._failures, self.trouble = 0, None
            return picture
