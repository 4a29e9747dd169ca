"""What the inspection station says about one picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

THRESHOLD = 0.5
"""An exported graph normalises every score so that this value divides good from anomalous."""


@dataclass(frozen=True, eq=False)
class Verdict:
    """The answer of the station to one picture.

    Attributes:
        category: What the model was trained to inspect.
        score: Anomaly score of the picture, in 0 .. 1, normalised by the threshold of the export.
        threshold: A picture that scores above is anomalous: :data:`THRESHOLD`, or that of the station's calibration.
        anomalous: The decision.
        anomaly_map: ``(h, w)`` float32, normalised like the score, in the resolution of the network, or in that of
            the picture if it was judged in tiles.
        mask: ``(h, w)`` bool, true where the map is above ``pixel_threshold``.
        milliseconds: Wall time from the picture in memory to this verdict.
        pixel_threshold: A pixel of the map above belongs to a defect.
    """

    category: str
    score: float
    threshold: float
    anomalous: bool
    anomaly_map: NDArray[np.float32]
    mask: NDArray[np.bool_]
    milliseconds: float
    pixel_threshold: float = THRESHOLD

    @property
    def word(self) -> str:
        """``ANOMALOUS`` or ``good``, as lines and pictures show it."""
        return "ANOMALOUS" if self.anomalous else "good"
