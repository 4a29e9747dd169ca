"""Patch features of real training pictures, to audit with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from anomalib_federated.backbones import Backbone
from anomalib_federated.bank import FeatureSpace
from anomalib_federated.data import AutoVI
from anomalib_federated.data.batches import batches
from anomalib_federated.models.image_transform import image_transform
from anomalib_federated.models.patch_features import PatchFeatureExtractor

SIDE = 128
"""Height and width of the pictures: an audit runs thousands of times, and needs no detail."""


@dataclass(frozen=True, eq=False, kw_only=True)
class RealPictures:
    """Patch features and their space.

    Attributes:
        features: Shape ``(n, rows, columns, d)``, float32.
        space: Feature space.
    """

    features: Tensor
    space: FeatureSpace


@torch.no_grad()
def real_pictures(root: Path, category: str, *, count: int, seed: int) -> RealPictures:
    """Features of training pictures drawn at random, of the default backbone.

    Args:
        root: Data folder.
        category: One of its categories.
        count: How many pictures.
        seed: Decides which.

    Raises:
        ValueError: If the category has too few.
    """
    datamodule = AutoVI(root, [category])
    datamodule.setup()
    pictures = datamodule.train_data
    if len(pictures) < count:
        msg = f"Category '{category}' in {root} has {len(pictures)} training pictures, not {count}; ask for fewer."
        raise ValueError(msg)
    extractor = PatchFeatureExtractor(Backbone(), image_size=(SIDE, SIDE)).eval()
    transform = image_transform(extractor.space)
    drawn = sorted(np.random.default_rng(seed).permutation(len(pictures))[:count].tolist())
    maps = [extractor(transform(batch.image)) for batch in batches(pictures.sample(drawn), batch_size=4)]
    return RealPictures(features=torch.cat(maps).permute(0, 2, 3, 1).contiguous(), space=extractor.space)
