"""A folder that is watched: each new picture is handed out once, when it is completely written."""

from __future__ import annotations

import os
import stat
import time
from collections import deque
from collections.abc import Iterator, KeysView, MutableMapping
from functools import partial
from pathlib import Path
from threading import Event

import numpy as np
from numpy.typing import NDArray

from anomalib_federated.deploy.sources.files import picture_paths
from anomalib_federated.deploy.sources.frame import Frame, StillBeingWrittenError
from anomalib_federated.pictures import decode_image, read_image, read_regular_file

SETTLE = 0.5
"""Seconds for which a file's size and time of change must stay the same before it counts as written."""

FORGET = 3600.0
"""Seconds after which a file that is gone is forgotten; a share that comes back sooner is not judged anew."""

_PAUSE = 0.1  # seconds between two looks at the folder
_RELATIVE_PAUSE = 5.0  # times as long as a look took, so that a large folder leaves the processor alone


class WatchedFolder:
    """Pictures as they appear in a folder and its sub-folders, in the order in which they were written.

    A file whose size or time of change differs from what was judged is another picture, and is handed out again.

    Args:
        folder: The folder.
        judged: Per path, the signature that was judged already. Whoever judges adds to it; names that are gone for
            :data:`FORGET` seconds are removed here.
        settle: Seconds for which a file must not change; 0 where pictures are renamed into the folder.
        skip: A folder to leave out.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: ``settle`` is no number of seconds.
    """

    def __init__(
        self, folder: Path, judged: MutableMapping[str, str], *, settle: float = SETTLE, skip: Path | None = None
    ) -> None:
        if not folder.is_dir():
            msg = f"There is no folder {folder} to watch: make it, or check the path."
            raise FileNotFoundError(msg)
        if not 0 <= settle < float("inf"):
            msg = f"settle is {settle}: give seconds, 0 or more."
            raise ValueError(msg)
        self.name = str(folder)
        self.trouble: str | None = None
        self._folder, self._skip, self._settle, self._judged = folder, skip, settle, judged
        self._unsettled: dict[str, tuple[str, float]] = {}  # signature, and since when
        self._given: dict[str, str] = {}  # handed out, not yet judged
        self._spoilt: deque[tuple[str, str]] = deque()  # handed out and not judged; noted by the threads that read
        self._gone: dict[str, float] = {}

    def frames(self, stop: Event) -> Iterator[Frame | None]:
        """New pictures as they come, None in between."""
        while not stop.is_set():
            began = time.monotonic()
            complete = self._complete(began)
            look_again = began + max(_PAUSE, _RELATIVE_PAUSE * (time.monotonic() - began))
            for path, signature in complete:
                if stop.is_set():
                    return
                self._given[path] = signature
                yield Frame("path", path, partial(self._load, path, signature), signature)
            yield None
            while not stop.is_set() and (left := look_again - time.monotonic()) > 0:
                stop.wait(min(left, _PAUSE))
                yield None

    def _complete(self, now: float) -> list[tuple[str, str]]:
        """Path and signature of each new picture that is completely written, the oldest first."""
        while self._spoilt:
            path, signature = self._spoilt.popleft()
            if self._given.get(path) == signature:  # else it has been handed out anew already
                del self._given[path]
        found = self._look()
        if self.trouble is None:
            self._forget(found.keys(), now)
        unsettled: dict[str, tuple[str, float]] = {}
        complete = []
        for path, (signature, changed) in found.items():
            if self._judged.get(path) == signature:
                self._given.pop(path, None)
            elif self._given.get(path) != signature:
                known, since = self._unsettled.get(path, ("", now))
                unsettled[path] = (signature, since if known == signature else now)
                if now - unsettled[path][1] >= self._settle:
                    complete.append((changed, path, signature))
        self._unsettled = unsettled
        return [(path, signature) for _, path, signature in sorted(complete)]

    def _look(self) -> dict[str, tuple[str, int]]:
        """Per path of a picture, its signature and when it changed."""
        self.trouble = None
        found = {}
        for path in picture_paths(self._folder, skip=self._skip, onerror=self._note_trouble):
            try:
                found[path] = _signature(path)
            except FileNotFoundError:
                continue  # it has been moved away since it was listed
            except OSError as error:
                self._note_trouble(error)
        return found

    def _note_trouble(self, error: OSError) -> None:
        self.trouble = f"{error.filename} cannot be read ({error.strerror}): no pictures come from there."

    def _forget(self, present: KeysView[str], now: float) -> None:
        self._gone = {path: self._gone.get(path, now) for path in self._judged.keys() - present}
        for path, since in self._gone.items():
            if now - since >= FORGET:
                del self._judged[path]
                self._given.pop(path, None)

    def _load(self, path: str, signature: str) -> NDArray[np.uint8]:
        try:
            data = read_regular_file(path)
        except OSError:
            return read_image(path)  # says what is wrong
        try:
            now = _signature(path)[0]
        except FileNotFoundError:
            now = signature  # it was moved away after it had been read
        except OSError:
            now = "unknown"
        if now != signature:
            self._spoilt.append((path, signature))
            raise StillBeingWrittenError(path)
        return decode_image(data, path)


def _signature(path: str) -> tuple[str, int]:
    """What changes with a file's content, and when it changed in nanoseconds; of the link if it leads nowhere."""
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError:
        status = os.lstat(path)
    if not stat.S_ISREG(status.st_mode):  # of a folder, size and time change with what is in it
        return f"no file: {stat.S_IFMT(status.st_mode):o}", status.st_mtime_ns
    return f"{status.st_mtime_ns}:{status.st_size}", status.st_mtime_ns
