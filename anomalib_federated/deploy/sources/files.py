"""Pictures that are there already: one file, or all in a folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from threading import Event

from anomalib_federated.deploy.sources.frame import Frame
from anomalib_federated.pictures import SUFFIXES, read_image


def _raise(error: OSError) -> None:
    raise error


def picture_paths(
    folder: Path, *, skip: Path | None = None, onerror: Callable[[OSError], None] = _raise
) -> Iterator[str]:
    """Everything in a folder and its sub-folders that has a picture's name, readable or not.

    Links to folders are not followed, and hidden names are left out.

    Args:
        folder: Where to look.
        skip: A folder to leave out: the one that receives the overlays.
        onerror: Called with what hinders listing a folder; raises it if not given.
    """
    left_out = None if skip is None else os.path.realpath(skip)
    for place, folders, files in os.walk(folder, onerror=onerror):
        # What is called like a picture, but is a folder, cannot be read as one, and is to be told of.
        yield from (os.path.join(place, name) for name in (*folders, *files) if _like_picture(name))  # noqa: PTH118
        folders[:] = [
            name
            for name in folders
            if not (name.startswith(".") or _like_picture(name))
            and (left_out is None or os.path.realpath(os.path.join(place, name)) != left_out)  # noqa: PTH118
        ]


def _like_picture(name: str) -> bool:
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES  # noqa: PTH122


class Files:
    """One picture, or all pictures in a folder, by path.

    Args:
        path: A picture, taken whatever its suffix, or a folder.
        skip: A folder to leave out.

    Attributes:
        paths: The pictures; whatever has a picture's name counts, so that an unreadable one is told of.

    Raises:
        FileNotFoundError: The path does not exist, or is a folder without pictures.
        OSError: A folder cannot be listed.
    """

    def __init__(self, path: Path, *, skip: Path | None = None) -> None:
        self.name = str(path)
        self.trouble: str | None = None
        if path.is_dir():
            self.paths = sorted(Path(found) for found in picture_paths(path, skip=skip))
        elif os.path.lexists(path):
            self.paths = [path]
        else:
            msg = f"There is no picture and no folder at {path}: check the path."
            raise FileNotFoundError(msg)
        if not self.paths:
            endings = ", ".join(sorted(suffix[1:] for suffix in SUFFIXES))
            msg = f"The folder {path} holds no picture: expected files that end in {endings}."
            raise FileNotFoundError(msg)

    def frames(self, stop: Event) -> Iterator[Frame | None]:
        """Each picture once."""
        for path in self.paths:
            if stop.is_set():
                return
            yield Frame("path", str(path), partial(read_image, path))
