"""In which directions of the feature space noisy sums look: decided by what is public, never by the sites' pictures."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from anomalib_federated.bank import FeatureSpace
from anomalib_federated.interfaces.privacy import State
from anomalib_federated_plugins.privacy.public_features import public_features


class Directions:
    """Directions, and the point that they start from.

    Args:
        public_images: Folder of pictures declared public, whose principal components (of features of unit variance)
            are the directions, the largest first; ``None`` draws random ones with a fixed seed.

    Attributes:
        in_words: Where the directions come from.
    """

    def __init__(self, public_images: str | None = None) -> None:
        self.public_images = public_images
        self.in_words = (
            "directions of the feature space: drawn at random with a fixed seed"
            if public_images is None
            else f"directions of the feature space: from the folder {ascii(public_images)[1:-1][:300]}, declared public"
        )

    def of(self, space: FeatureSpace, *, most: int) -> State:
        """``centre``, shape ``(d,)``, and ``basis``, shape ``(d, k)`` with ``k <= most``, float64.

        Args:
            space: Feature space of the federation.
            most: How many directions at most.

        Raises:
            BackboneError: If the backbone that should look at public images cannot be had.
            FileNotFoundError: If the folder holds no picture.
            ValueError: If a picture cannot be read.

        Example:
            >>> from anomalib_federated.testing import example_bank
            >>> Directions().of(example_bank(dim=8).space, most=5)["basis"].shape
            torch.Size([8, 5])
        """
        count = min(most, space.dim)
        if self.public_images is None:
            drawn = np.random.default_rng(0).standard_normal((space.dim, count))
            return {
                "centre": torch.zeros(space.dim, dtype=torch.float64),
                "basis": torch.from_numpy(np.linalg.qr(drawn).Q),
            }
        return _principal(public_features(self.public_images, space), count)


def _principal(rows: Tensor, count: int) -> State:
    deviation, centre = torch.std_mean(rows, dim=0)
    deviation = torch.where(deviation > 0, deviation, 1.0)  # a feature that is always the same stays so
    spread = (rows - centre) / deviation
    _, vectors = torch.linalg.eigh(spread.T @ spread)
    return {"centre": centre, "basis": vectors.flip(1)[:, :count] / deviation.unsqueeze(1)}
