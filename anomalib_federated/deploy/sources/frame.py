"""One picture that a source hands out, not yet read, and what a source is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Event
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray


class StillBeingWrittenError(Exception):
    """A file changed while it was read; its source will hand it out again."""


@dataclass(frozen=True, eq=False)
class Frame:
    """A picture to judge.

    Attributes:
        kind: Whether it is a file or a camera's frame.
        name: Its path, or the camera's name and a number.
        load: Gives ``(H, W, 3)`` uint8 RGB. Raises ValueError if it is unreadable, StillBeingWrittenError if it is to
            be ignored this time.
        signature: What tells whether a file is another one although it has the same path; empty if nobody asks.
    """

    kind: Literal["path", "frame"]
    name: str
    load: Callable[[], NDArray[np.uint8]]
    signature: str = ""


class Source(Protocol):
    """Hands out pictures until it has no more, or is told to stop."""

    name: str
    """For people."""

    trouble: str | None
    """Why no pictures come, as a sentence; None if all is well."""

    def frames(self, stop: Event) -> Iterator[Frame | None]:
        """Pictures, and None now and then while there is none; ends soon after ``stop`` is set."""
        ...
