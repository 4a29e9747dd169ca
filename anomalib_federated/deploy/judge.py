"""One picture through all stages: read, prepare, infer, regions, overlay. Whatever goes wrong, it is never a pass."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from anomalib_federated.deploy.exported_model import last_line
from anomalib_federated.deploy.inspection import Inspection
from anomalib_federated.deploy.overlay import overlay
from anomalib_federated.deploy.overlay_folder import OverlayFolder
from anomalib_federated.deploy.regions import find_regions
from anomalib_federated.deploy.sources.frame import Frame, StillBeingWrittenError
from anomalib_federated.deploy.station import Station, Verdict, prepare

STAGES = ("read", "prepare", "infer", "regions", "overlay")
"""What a picture goes through, in order; the last only where overlays are wanted."""

SHOWN_SIDE = 640
"""Pixels of the longer side of the small picture that a page shows, at most, without its frame."""


class Judge:
    """Judges frames; several threads may call it.

    Args:
        station: What judges pictures.
        overlays: Receives an overlay of each picture.
        show: Whether inspections carry a small picture for a page.
    """

    def __init__(self, station: Station, *, overlays: OverlayFolder | None = None, show: bool = False) -> None:
        self.station = station
        self._overlays = overlays
        self._show = show

    def __call__(self, frame: Frame) -> Inspection | None:
        """Judge a frame.

        Args:
            frame: Where the picture is.

        Returns:
            The inspection, with an error instead of a verdict if the picture could not be read or judged; None if it is
            still being written.

        Raises:
            OSError: The overlay cannot be written.
        """
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        spent: dict[str, float] = {}
        inspected = partial(
            Inspection,
            frame=frame,
            time=now,
            category=self.station.category,
            model=self.station.version,
            milliseconds=spent,
        )
        try:
            with _timed(spent, "read"):
                image = frame.load()
            with _timed(spent, "prepare"):
                prepared = prepare(image)
            with _timed(spent, "infer"):
                verdict = self.station.judge(prepared)
            with _timed(spent, "regions"):
                regions = find_regions(verdict.mask, image.shape[:2])
        except StillBeingWrittenError:
            return None
        except ValueError as error:
            return inspected(error=str(error))
        except (RuntimeError, MemoryError) as error:
            msg = f"The picture {frame.name} got no verdict: {last_line(error)}."
            return inspected(error=msg)
        written, shown = None, None
        if self._overlays is not None or self._show:
            with _timed(spent, "overlay"):
                if self._overlays is not None:
                    written = self._overlays.write(overlay(image, verdict), frame, now)
                if self._show:
                    shown = _small(image, verdict)
        return inspected(verdict=verdict, regions=regions, overlay=written, shown=shown)


def _small(image: NDArray[np.uint8], verdict: Verdict) -> bytes:
    picture = Image.fromarray(image)
    picture.thumbnail((SHOWN_SIDE, SHOWN_SIDE))
    data = BytesIO()
    overlay(np.asarray(picture), verdict).save(data, format="JPEG", quality=80)
    return data.getvalue()


@contextmanager
def _timed(spent: dict[str, float], stage: str) -> Iterator[None]:
    began = time.perf_counter()
    try:
        yield
    finally:
        spent[stage] = 1000 * (time.perf_counter() - began)
