"""One writer at a time, among processes and threads."""

from __future__ import annotations

import fcntl
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

logger = logging.getLogger(__name__)

LOCK = ".lock"


@contextmanager
def sole_writer(folder: Path) -> Iterator[None]:
    """Hold a folder's lock; if another holds it, wait.

    Args:
        folder: A folder that is there.

    Raises:
        OSError: If the lock file cannot be opened for writing.
    """
    with (folder / LOCK).open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logger.info("Another process is writing to %s; waiting for its end", folder)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
