"""A camera at this machine, or one that speaks RTSP, through OpenCV."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalib_federated.deploy.sources.newest import Newest

TIMEOUT = 10.0
"""Seconds for a picture to come."""


class DeviceCamera:
    """Takes pictures from what OpenCV can open.

    Args:
        address: A device's number, its path such as ``/dev/video0``, or an ``rtsp://`` URL.
        name: What lines and messages call it: without a password.

    Raises:
        ValueError: OpenCV is not installed.
    """

    def __init__(self, address: int | str, *, name: str) -> None:
        try:
            self._cv2: Any = import_module("cv2")
        except ImportError as error:
            msg = f"The camera {name} needs OpenCV: run pip install 'anomalib-federated[camera]'."
            raise ValueError(msg) from error
        self.name = name
        self._address = address
        self._stream: Newest[NDArray[np.uint8]] | None = None

    def grab(self) -> NDArray[np.uint8]:
        """A picture taken after this call: ``(H, W, 3)`` uint8 RGB.

        Raises:
            OSError: The camera cannot be opened, or no picture came in time.
        """
        if self._stream is None:
            capture = self._cv2.VideoCapture(self._address)
            if not capture.isOpened():
                msg = "it cannot be opened"
                raise OSError(msg)
            self._stream = Newest(_pictures_of(capture), close=capture.release)
        try:
            picture = self._stream.fresh(TIMEOUT)
        except OSError:
            self.close()  # the next picture tries to open it again
            raise
        # OpenCV's order is blue, green, red.
        return np.ascontiguousarray(picture[:, :, ::-1])

    def close(self) -> None:
        """Let go of the camera."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None


def _pictures_of(capture: Any) -> Iterator[NDArray[np.uint8]]:  # noqa: ANN401 - OpenCV is untyped
    while True:
        taken, picture = capture.read()
        if not taken:
            return
        yield picture
