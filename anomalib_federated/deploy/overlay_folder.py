"""Where the overlays of judged pictures go."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from PIL import Image

from anomalib_federated.deploy.sources.frame import Frame
from anomalib_federated.files import write_file
from anomalib_federated.pictures import SUFFIXES


class OverlayFolder:
    """A folder with one PNG per judged picture, which lies as the picture lies in its own.

    Args:
        folder: Receives the overlays.
        root: The folder that the pictures' paths begin with; None for a camera.

    Raises:
        ValueError: The overlays would be written among the pictures.
    """

    def __init__(self, folder: Path, *, root: Path | None) -> None:
        if root is not None and root.resolve().is_relative_to(folder.resolve()):
            msg = f"The overlays would be written among the pictures in {root}: give another folder as --overlays."
            raise ValueError(msg)
        self.folder, self._root = folder, root

    def write(self, picture: Image.Image, frame: Frame, time: str) -> Path:
        """Write an overlay, whole or not at all.

        Args:
            picture: What :func:`overlay` drew.
            frame: The picture that was judged.
            time: When, as the line says; with the frame's number it names the overlay of a camera's.

        Returns:
            Its file.

        Raises:
            OSError: It cannot be written.
        """
        data = BytesIO()
        picture.save(data, format="PNG", compress_level=1)
        return write_file(self._target(frame, time), data.getvalue())

    def _target(self, frame: Frame, time: str) -> Path:
        if self._root is None:
            number = frame.name.rpartition("#")[2]
            return self.folder / f"{time.replace(':', '').replace('-', '')}_{number}.png"
        relative = Path(frame.name).relative_to(self._root)
        # x.png stays x.png, x.bmp becomes x.bmp.png, x.bmp.png becomes x.bmp.png.png: no two pictures share a file.
        kept = relative.suffix.lower() == ".png" and Path(relative.stem).suffix.lower() not in SUFFIXES
        return self.folder / (relative if kept else relative.with_name(f"{relative.name}.png"))
