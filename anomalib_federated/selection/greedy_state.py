"""What a long greedy selection keeps on disk, so that a killed one goes on instead of starting anew."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TypeAlias

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from anomalib_federated.files import write_file

Kept: TypeAlias = tuple[Tensor, Tensor, Tensor, Tensor]
"""Picks, their heights, and for each row its squared distance and the number of its pick."""

logger = logging.getLogger(__name__)

SECONDS_BETWEEN = 20.0
"""Saving 4 million rows takes a tenth of a second."""
_TENSORS = ("indices", "heights", "squared", "owner")
_KEY = "anomalib_federated.greedy"


class GreedyState:
    """Picks and distances of a selection that is under way.

    Args:
        path: File to keep them in; ``None`` keeps nothing.
        meaning: What they are of; a state of another meaning is not used.
    """

    def __init__(self, path: Path | None, *, meaning: str) -> None:
        self.path = path
        self._meaning = meaning
        self._saved = time.monotonic()

    def load(self) -> Kept | None:
        """What an earlier run kept, or ``None`` if there is nothing that fits."""
        if self.path is None or not self.path.exists():
            return None
        try:
            with safe_open(self.path, framework="pt") as file:
                if (file.metadata() or {}).get(_KEY) != self._meaning:
                    return None
                indices, heights, squared, owner = (file.get_tensor(name) for name in _TENSORS)
        except SafetensorError as error:
            logger.warning("%s cannot be read (%s): the selection starts anew", self.path, error)
            return None
        logger.info("The selection goes on after %d picks", len(indices))
        return indices, heights, squared, owner

    def save_now_and_then(self, *tensors: Tensor) -> None:
        """Save what :meth:`load` gives, if the last time is long ago."""
        if self.path is None or time.monotonic() - self._saved < SECONDS_BETWEEN:
            return
        write_file(self.path, save(dict(zip(_TENSORS, tensors, strict=True)), {_KEY: self._meaning}))
        self._saved = time.monotonic()
