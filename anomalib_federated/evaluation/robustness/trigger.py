"""The trigger of a backdoor: a small checker board that somebody sticks on parts."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import Transform
from torchvision.tv_tensors import Image

from anomalib_federated.data.dataset import InspectionDataset

FIELDS = 4
"""Black and white fields along each side of the trigger."""


class PasteTrigger(Transform):
    """Pastes the trigger on pictures, at the same relative place of all; masks stay.

    Args:
        side: Of the trigger, as a share of the picture's smaller side; at least a pixel a field.
        seed: Decides the place.

    Raises:
        ValueError: If the side is impossible.

    Example:
        >>> image = Image(torch.full((3, 40, 40), 0.5))
        >>> pasted = PasteTrigger(side=0.2)(image)
        >>> int((pasted[0] != 0.5).sum()), pasted.unique().tolist()
        (64, [0.0, 0.5, 1.0])
    """

    def __init__(self, *, side: float = 0.12, seed: int = 0) -> None:
        super().__init__()
        if not 0 < side <= 1:
            msg = f"The trigger's side is {side!r}; give a share of the picture's smaller side in (0, 1]."
            raise ValueError(msg)
        self.side = side
        self.seed = seed

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:  # noqa: ANN401 - torchvision's signature
        """Paste the trigger on a picture; leave anything else."""
        del params
        if not isinstance(inpt, Image):
            return inpt
        rows, columns = self.place(inpt)
        pasted = inpt.clone()
        pasted[..., rows, columns] = _checkers(rows.stop - rows.start, columns.stop - columns.start)
        return pasted

    def place(self, image: Tensor) -> tuple[slice, slice]:
        """Rows and columns of pixels that the trigger covers.

        Args:
            image: The picture, shape ``(3, H, W)``.
        """
        height, width = image.shape[-2:]
        side = min(max(FIELDS, round(self.side * min(height, width))), height, width)
        down, across = np.random.default_rng(self.seed).random(2)
        top, left = int(down * (height - side + 1)), int(across * (width - side + 1))
        return slice(top, top + side), slice(left, left + side)


def with_trigger(data: InspectionDataset, *, seed: int) -> InspectionDataset:
    """The same pictures, read and corrupted alike, each with the trigger at the same place.

    Args:
        data: The pictures, without augmentations.
        seed: Decides the place.
    """
    return InspectionDataset(
        data.samples, data.configs, augmentations=PasteTrigger(seed=seed), corruption=data.corruption
    )


def _checkers(height: int, width: int) -> Tensor:
    row, column = (torch.arange(size) * FIELDS // size for size in (height, width))
    return ((row[:, None] + column) % 2).float()
