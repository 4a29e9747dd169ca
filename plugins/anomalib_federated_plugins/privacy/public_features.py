"""Patch features of pictures that somebody has declared public."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from anomalib_federated.bank import FeatureSpace
from anomalib_federated.models.image_transform import image_transform
from anomalib_federated.models.patch_features import PatchFeatureExtractor, patch_rows
from anomalib_federated.pictures import find_pictures, read_image


@torch.no_grad()
def public_features(folder: str, space: FeatureSpace) -> Tensor:
    """Features of the pictures of a folder and its sub-folders, in the order of their paths.

    Args:
        folder: Folder of pictures.
        space: Decides the features.

    Returns:
        Shape ``(patches, d)``, float64.

    Raises:
        BackboneError: If the backbone or its weights cannot be had.
        FileNotFoundError: If there is no such folder, or no picture in it.
        ValueError: If a picture cannot be read, or the weights here are not those of the space.
    """
    pictures = find_pictures(Path(folder))
    extractor = PatchFeatureExtractor.of_space(space)
    if differences := space.differences(extractor.space):
        msg = f"The public pictures in {folder} cannot be seen as the federation's are: {differences}."
        raise ValueError(msg)
    transform = image_transform(space)
    rows = []
    for picture in pictures:
        pixels = torch.from_numpy(read_image(picture)).permute(2, 0, 1).unsqueeze(0).float() / 255
        rows.append(patch_rows(extractor(transform(pixels))).double())
    return torch.cat(rows)
