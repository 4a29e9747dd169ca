"""A reference for the centre: patch features of a few clean pictures, and of synthetic defects on them.

Who has a handful of pictures of good parts can tell, of rows that come from elsewhere, which of the two they are like.
"""

from __future__ import annotations

import logging

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, interpolate

from anomalib_federated import registry
from anomalib_federated.bank import MemoryBank
from anomalib_federated.data.dataset import InspectionDataset
from anomalib_federated.data.synthetic_defects import KINDS, SyntheticDefect, with_defect
from anomalib_federated.models.image_transform import image_transform
from anomalib_federated.models.part_frame import to_frame
from anomalib_federated.models.patch_collection import PatchCollection
from anomalib_federated.models.patch_features import PatchFeatureExtractor, patch_rows
from anomalib_federated.progress import progress_bar
from anomalib_federated.selection.distances import nearest

logger = logging.getLogger(__name__)

CLEAN, DEFECTS = "clean", "synthetic-defects"
"""Names of the two sites of a reference bank."""

COVERED = 0.25
"""Share of a patch's cell that a defect covers for the patch to count as one of the defect."""

NORMAL = 0.99
"""Share of clean patches whose distance to the patches of other clean pictures is normal."""

METHOD = "k_center"
"""What chooses the rows of either kind."""

_FINER = 4
"""How many times finer than the patches' grid a mask is turned into the frame of the part."""


@torch.inference_mode()
def reference_bank(
    images: InspectionDataset, extractor: PatchFeatureExtractor, *, rows: int = 4000, seed: int = 0
) -> MemoryBank:
    """Make a reference out of pictures of good parts, each of which gets a defect of every kind.

    A patch is one of a defect if the defect covers a quarter of its cell, and if it is farther from the clean patches
    than 99 % of the clean patches of one half of the pictures are from those of the other half: what looks like a good
    part is none, although something was pasted there.

    Args:
        images: Of one category, at least 2.
        extractor: Makes the features.
        rows: Of either kind, how many are kept at most.
        seed: Decides the defects, and the first row of either kind.

    Returns:
        A bank of two sites, ``clean`` and ``synthetic-defects``.

    Raises:
        ValueError: If there are too few pictures, several categories, or no defect that differs from the clean patches.
    """
    categories = sorted(set(images.samples["category"]))
    if len(images) < 2 or len(categories) != 1:
        msg = f"A reference needs at least 2 pictures of one category, got {len(images)} of {', '.join(categories)}."
        raise ValueError(msg)
    clean, defects = _features(images, extractor, seed=seed)
    limit = float(_quantile(nearest(torch.cat(clean[1::2]), torch.cat(clean[::2]))[0], NORMAL))
    patches = torch.cat(clean)
    found = [each[nearest(each, patches)[0] > limit] for each in defects]
    differing = [each for each in found if len(each)]
    logger.info("%d of %d patches of synthetic defects are farther than %.4g from all clean ones",
                sum(map(len, differing)), sum(map(len, defects)), limit)  # fmt: skip
    if not differing:
        msg = f"No patch of {len(defects)} synthetic defects differs from the clean ones; take other pictures."
        raise ValueError(msg)
    coreset = registry.build("coreset", METHOD, budget=rows)
    banks = []
    for site, chosen in ((CLEAN, clean), (DEFECTS, differing)):
        collection = PatchCollection(extractor.space, dtype="float32")
        for features in chosen:
            collection.add(features.T.reshape(1, -1, len(features), 1), categories)
        banks.append(collection.build_bank(coreset, method=METHOD, site=site, seed=seed))
        collection.close()
    return MemoryBank.merge(banks)


def _features(
    images: InspectionDataset, extractor: PatchFeatureExtractor, *, seed: int
) -> tuple[list[Tensor], list[Tensor]]:
    """Features of the patches of each picture, and of those that each defect covers; ``(n, d)`` each."""
    transform = image_transform(extractor.space)
    clean, defects = [], []
    with progress_bar("reference: features", total=len(images) * (1 + len(KINDS))) as advance:
        for number in range(len(images)):
            image = images[number].image
            clean.append(patch_rows(extractor(transform(image.unsqueeze(0)))))
            picture = (image.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
            for kind in KINDS:
                defect = with_defect(picture, kind, rng=np.random.default_rng([seed, number, *kind.encode()]))
                pixels = torch.from_numpy(defect.picture).permute(2, 0, 1).float() / 255
                defects.append(_covered_patches(transform(pixels.unsqueeze(0)), defect, extractor))
            advance(1 + len(KINDS))
    return clean, defects


def _covered_patches(image: Tensor, defect: SyntheticDefect, extractor: PatchFeatureExtractor) -> Tensor:
    """Features of the patches that a defect covers, ``(n, d)``, out of the resized and normalised picture."""
    placement = extractor.place(image)
    embedding = extractor(image, placement)
    grid = embedding.shape[-2:]
    mask = torch.from_numpy(defect.mask).float()[None, None]
    mask = interpolate(mask, size=image.shape[-2:], mode="bilinear", antialias=True)
    if placement is not None:
        finer = [side * _FINER for side in grid]
        mask = to_frame(mask, placement._replace(background=torch.zeros(1, 1)), finer, oversampling=1)
    return patch_rows(embedding)[adaptive_avg_pool2d(mask, grid).flatten() >= COVERED]


def _quantile(values: Tensor, share: float) -> Tensor:
    """The value that such a share does not exceed; ``torch.quantile`` takes no more than 16 million values."""
    return values.kthvalue(max(1, round(share * len(values)))).values
