"""What deleted pixels are replaced by: those of the normal picture that is most like the one explained.

A reference must be no anomaly itself, nor leave one at the border of what is replaced. Tried on held-out good pictures
with synthetic defects, whose place is known: a blurred picture scores more than the defect in most cases, and so does
one colour; the mean of normal pictures and inpainting leave as much of the score as the defect had. Only a true normal
picture scores like one, and takes most of the defect's score with it (``docs/measured/explanations.md``).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from anomalib_federated.explanations.network_input import network_input
from anomalib_federated.models import FederatedPatchcore
from anomalib_federated.pictures import read_image

CANDIDATES = 64
"""Normal pictures among which the most alike is looked for."""

THUMBNAIL = 32
"""Height and width at which pictures are compared."""


class NormalReferences:
    """Normal pictures, of which each picture gets the one that is most like it.

    Args:
        model: The detector, which says how pictures are resized and normalised.
        pictures: Files of normal training pictures, at least one.
        seed: Draws :data:`CANDIDATES` of them if there are more.

    Raises:
        ValueError: If there is no picture, or one cannot be read.
    """

    def __init__(self, model: FederatedPatchcore, pictures: Sequence[Path], *, seed: int) -> None:
        if not pictures:
            msg = "There is no normal training picture to replace deleted pixels by; explanations cannot be measured."
            raise ValueError(msg)
        drawn = np.random.default_rng(seed).permutation(len(pictures))[:CANDIDATES]
        self._model = model
        self._pictures = [pictures[number] for number in sorted(drawn.tolist())]
        self._thumbnails = torch.stack([_thumbnail(self._read(path)) for path in self._pictures])

    def nearest(self, image: Tensor) -> Tensor:
        """The normal picture whose thumbnail is nearest, pixel by pixel.

        Args:
            image: Shape ``(3, h, w)``, resized and normalised.

        Returns:
            The same shape.
        """
        distances = (self._thumbnails - _thumbnail(image)).flatten(1).norm(dim=1)
        found = self._read(self._pictures[int(distances.argmin())])
        if found.shape == image.shape:
            return found
        return interpolate(found[None], size=image.shape[1:], mode="bilinear")[0]  # pictures may be of many sizes

    def _read(self, path: Path) -> Tensor:
        return network_input(self._model, read_image(path))[0].cpu()


def _thumbnail(image: Tensor) -> Tensor:
    return interpolate(image[None], size=(THUMBNAIL, THUMBNAIL), mode="area")[0]
