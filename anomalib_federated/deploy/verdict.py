"""What the inspection station says about one picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Verdict:
    """The answer of the station to one picture.

    Attributes:
        category: What the model was trained to inspect.
        score: Anomaly score of the picture, normalised so that ``threshold`` divides good from anomalous.
        threshold: The dividing score, 0.5 for every exported model.
        anomalous: The decision that the model took.
        anomaly_map: ``(h, w)`` float32, normalised like the score, in the resolution of the network.
        mask: ``(h, w)`` bool, true where the model sees a defect.
        milliseconds: Wall time from the picture in memory to this verdict.
    """

    category: str
    score: float
    threshold: float
    anomalous: bool
    anomaly_map: NDArray[np.float32]
    mask: NDArray[np.bool_]
    milliseconds: float

    @property
    def word(self) -> str:
        """``ANOMALOUS`` or ``good``, as lines and pictures show it."""
        return "ANOMALOUS" if self.anomalous else "good"
