"""The small pictures of the last parts, in memory, and in a folder so that a restarted station shows them too."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

from anomalib_federated.deploy.record import LAST_PARTS


class LastPictures:
    """Keeps the JPEGs of the last :data:`LAST_PARTS` parts.

    Args:
        folder: Keeps them over a restart; None keeps them in memory alone.
        last: Number of the last part; pictures beyond it are of parts that were judged again.

    Example:
        >>> pictures = LastPictures(None, last=0)
        >>> pictures.add(1, b"jpeg")
        >>> pictures.get(1), pictures.get(2)
        (b'jpeg', None)
    """

    def __init__(self, folder: Path | None, *, last: int) -> None:
        self._folder = folder
        self._pictures: OrderedDict[int, bytes] = OrderedDict()
        if folder is None:
            return
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.glob("*.jpg"):
            if path.stem.isdecimal() and last - LAST_PARTS < int(path.stem) <= last:
                self._pictures[int(path.stem)] = path.read_bytes()
            else:
                path.unlink(missing_ok=True)
        self._pictures = OrderedDict(sorted(self._pictures.items()))

    def add(self, number: int, picture: bytes) -> None:
        """Keep a part's picture, and forget the oldest."""
        self._pictures[number] = picture
        if self._folder is not None:
            (self._folder / f"{number}.jpg").write_bytes(picture)
        while len(self._pictures) > LAST_PARTS:
            forgotten, _ = self._pictures.popitem(last=False)
            if self._folder is not None:
                (self._folder / f"{forgotten}.jpg").unlink(missing_ok=True)

    def get(self, number: int) -> bytes | None:
        """A part's picture, if it is one of the last."""
        return self._pictures.get(number)
