"""What bad sites have: features of defects out of their own pictures, and of a trigger on their good ones."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from anomalib_federated.data.dataset import InspectionDataset
from anomalib_federated.data.layout import GOOD
from anomalib_federated.evaluation.robustness.cells_of_mask import cells_of_mask
from anomalib_federated.evaluation.robustness.kept_pictures import KeptPictures
from anomalib_federated.evaluation.robustness.trigger import PasteTrigger
from anomalib_federated.models.patch_features import PatchFeatureExtractor


class RobustnessError(ValueError):
    """A robustness study cannot be run as described; the message says what to change."""


def attackers_pictures(test: InspectionDataset, target: str, *, seed: int) -> list[int]:
    """Positions of the test pictures that bad sites own: half of those of the target type, rounded down.

    Whoever measures must leave them out of every figure.

    Args:
        test: Test pictures of one category.
        target: Type of defect that the attack is to hide.
        seed: Decides which.

    Raises:
        RobustnessError: If there are fewer than two such pictures, or they have no masks.
    """
    samples = test.samples.sort_values("name")
    own = samples.index[samples["label"] == target]
    if target == GOOD or len(own) < 2:
        known = ", ".join(f"{name} ({count})" for name, count in _types(test).items())
        msg = f"The target '{target}' has {len(own)} test pictures; name a type with at least 2 of them: {known}."
        raise RobustnessError(msg)
    if (samples.loc[own, "mask_path"] == "").any():
        msg = f"Pictures of '{target}' have no masks, so nobody can tell which of their patches are defects."
        raise RobustnessError(msg)
    order = np.random.default_rng([seed, *target.encode()]).permutation(len(own))
    return sorted(own[order[: len(own) // 2]].tolist())


def defect_patches(pictures: KeptPictures, extractor: PatchFeatureExtractor) -> Tensor:
    """Features of all patches that see a defect.

    Args:
        pictures: With masks.
        extractor: What made their features.

    Returns:
        Shape ``(m, d)``, float32, ``m >= 1``.
    """
    found = []
    for position in range(len(pictures)):
        item, grid = pictures.data[position], pictures.grid(position)
        covered = np.any([defect.mask for defect in item.defects or ()], axis=0)
        seen = cells_of_mask(covered, _sides(grid), image=item.image, extractor=extractor)
        found.append(grid[seen])
    return torch.cat(found)


def triggered_patches(pictures: KeptPictures, extractor: PatchFeatureExtractor) -> Tensor:
    """Features of all patches that see the trigger.

    Args:
        pictures: With the trigger, which :class:`PasteTrigger` as their augmentations pasted.
        extractor: What made their features.

    Returns:
        Shape ``(t, d)``, float32, ``t >= 1``.

    Raises:
        TypeError: If no trigger was pasted on them.
    """
    trigger = pictures.data.augmentations
    if not isinstance(trigger, PasteTrigger):
        msg = "Only pictures with a trigger have patches of it; give PasteTrigger as their augmentations."
        raise TypeError(msg)
    found = []
    for position in range(len(pictures)):
        image, grid = pictures.data[position].image, pictures.grid(position)
        mask = np.zeros(image.shape[-2:], dtype=bool)
        mask[trigger.place(image)] = True
        found.append(grid[cells_of_mask(mask, _sides(grid), image=image, extractor=extractor)])
    return torch.cat(found)


def _types(test: InspectionDataset) -> dict[str, int]:
    """Number of pictures by type of defect."""
    counts = test.samples["label"].value_counts().sort_index()
    return {str(name): int(count) for name, count in counts.items() if name != GOOD}


def _sides(grid: Tensor) -> tuple[int, int]:
    return grid.shape[0], grid.shape[1]
