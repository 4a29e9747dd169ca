"""How well a bank stands for normal pictures that it was not made of, group by group.

Of each patch, the distance to its nearest bank row: in a group that the bank forgot, normal patches lie far from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from anomalib_federated.data.batches import batches
from anomalib_federated.data.dataset import InspectionDataset
from anomalib_federated.data.layout import name_of
from anomalib_federated.models import FederatedPatchcore
from anomalib_federated.progress import progress_bar

Distances: TypeAlias = npt.NDArray[np.float32]
Weights: TypeAlias = npt.NDArray[np.float64]

SHARE = 0.95
CELLS = 4096
"""Cells into which a group's distances are sorted for resampling, each with as many of them."""


@torch.inference_mode()
def patch_distances(
    model: FederatedPatchcore, pictures: InspectionDataset, *, batch_size: int = 4
) -> dict[str, Distances]:
    """Distances of the patches of pictures to their nearest bank rows, as the detector takes them (its site quorum).

    Args:
        model: A model with a bank.
        pictures: Normal pictures that were neither trained on nor tested.
        batch_size: Pictures at a time.

    Returns:
        Per picture, by its name below the category's folder, shape ``(patches,)``, in units of feature distance.
    """
    model.eval()
    found: dict[str, Distances] = {}
    with progress_bar("distances of held-out pictures", total=len(pictures)) as advance:
        for batch in batches(pictures, batch_size=batch_size):
            images = batch.image if model.pre_processor is None else model.pre_processor.transform(batch.image)
            embedding = model.model(images)
            for position, image_path in enumerate(batch.image_path):
                rows = model.category_rows(batch.category[position])
                distances, _, _ = model.scorer.nearest(embedding[position : position + 1], rows)
                found[name_of(image_path)] = distances.flatten().float().cpu().numpy()
            advance(len(images))
    return found


def radii(distances: Sequence[Distances]) -> tuple[float, float]:
    """Largest distance of the patches of some pictures, and the one that 95 % of them do not exceed.

    Example:
        >>> radii([np.arange(1, 11, dtype=np.float32), np.arange(11, 21, dtype=np.float32)])
        (20.0, 19.0)
    """
    every = np.concatenate(list(distances))
    return float(every.max()), float(np.quantile(every, SHARE, method="inverted_cdf"))


class ResampledRadius:
    """The 95 % distance of pictures that are drawn again.

    Args:
        distances: Per picture.
    """

    def __init__(self, distances: Sequence[Distances]) -> None:
        every = np.sort(np.concatenate(list(distances)))
        self._edges = every[-1 :: -max(1, len(every) // CELLS)][::-1]  # each cell ends at one of its distances
        cells = [np.searchsorted(self._edges, own) for own in distances]
        self._counts = np.array([np.bincount(own, minlength=len(self._edges)) for own in cells], dtype=np.float64)

    def __call__(self, weights: Weights) -> Weights:
        """The distance for each row of weights.

        Args:
            weights: How often each picture counts, shape ``(r, pictures)``.

        Returns:
            Shape ``(r,)``.
        """
        below = np.cumsum(weights @ self._counts, axis=1)
        enough = below >= SHARE * below[:, -1:] - 1e-9 * below[:, -1:]
        radius: Weights = self._edges[enough.argmax(axis=1)].astype(np.float64)
        return radius
