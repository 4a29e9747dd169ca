"""Where patches of the grid lie in the picture's file."""

from __future__ import annotations

import torch
from torch import Tensor

from anomalib_federated.interfaces.explainer import Box


def patch_box(patch: int, grid: tuple[int, int], size: tuple[int, int], *, affine: Tensor | None = None) -> Box:
    """The pixels of a picture that a cell of its patch grid covers, whole or in part.

    Args:
        patch: Number of the cell, row by row.
        grid: Rows and columns of the patch grid.
        size: Height and width of the picture's file.
        affine: From the frame of the features to the picture, both in -1 .. 1, shape ``(2, 3)``; ``None`` if they are
            one. A cell that is turned gets the upright box around it.

    Returns:
        The box, inside the picture and never empty.

    Raises:
        IndexError: If there is no such patch.

    Example:
        >>> patch_box(7, (4, 4), (40, 80))
        Box(left=60, top=10, right=80, bottom=20)
    """
    rows, columns = grid
    if not 0 <= patch < rows * columns:
        msg = f"There is no patch {patch}: the grid has {rows} x {columns}."
        raise IndexError(msg)
    row, column = divmod(patch, columns)
    corners = torch.tensor(
        [[2 * (column + x) / columns - 1, 2 * (row + y) / rows - 1, 1.0] for y in (0, 1) for x in (0, 1)],
        dtype=torch.float64,
    )
    corners = corners[:, :2] if affine is None else corners @ affine.double().T
    pixels = (corners + 1) / 2 * torch.tensor([size[1], size[0]], dtype=torch.float64)
    # Rounding must not add a row of pixels that the cell only touches.
    left, top = (pixels.amin(0) + 1e-6).floor().int().tolist()
    right, bottom = (pixels.amax(0) - 1e-6).ceil().int().tolist()
    left, top = min(max(left, 0), size[1] - 1), min(max(top, 0), size[0] - 1)
    return Box(left, top, min(max(right, left + 1), size[1]), min(max(bottom, top + 1), size[0]))
