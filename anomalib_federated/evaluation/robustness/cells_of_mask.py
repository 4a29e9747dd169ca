"""Which patches of a picture see a marked part of it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import adaptive_max_pool2d, max_pool2d

from anomalib_federated.models.image_transform import image_transform
from anomalib_federated.models.part_frame import to_frame
from anomalib_federated.models.patch_features import POOLING, PatchFeatureExtractor

SAMPLES = 4
"""Of a cell of the patch grid, each way, where pictures are turned into the frame of their part."""


def cells_of_mask(
    mask: npt.NDArray[np.bool_], grid: tuple[int, int], *, image: Tensor, extractor: PatchFeatureExtractor
) -> Tensor:
    """Cells of the patch grid that a mask touches, and those around them: a feature pools over 3 x 3 cells.

    Args:
        mask: Shape ``(H, W)``, at the picture's native size.
        grid: Rows and columns of the patch grid.
        image: The picture, shape ``(3, H, W)``, in 0 .. 1; looked at only if patches lie in the frame of its part.
        extractor: What makes its features.

    Returns:
        Shape ``grid``, bool.
    """
    marked = torch.from_numpy(mask)[None, None].float()
    if extractor.space.frame == "part":
        placement = extractor.place(image_transform(extractor.space)(image[None]))
        assert placement is not None, "the frame of a part always has a place"  # noqa: S101 - for the type checker
        nothing = placement._replace(background=torch.zeros_like(placement.background))
        size = [side * SAMPLES for side in grid]
        marked = to_frame(marked.expand(1, 3, -1, -1), nothing, size, oversampling=1)[:, :1]
    touched = (adaptive_max_pool2d(marked, grid) > 0).float()
    return max_pool2d(touched, POOLING, 1, POOLING // 2)[0, 0] > 0
