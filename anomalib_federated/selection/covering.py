"""How well some picked rows stand for all rows, measured by direct differences.

Distances by a matrix product lose digits where norms are large; what is reported is therefore measured once more, row
by row, as the norm of the difference to the nearest pick.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from anomalib_federated.selection.distances import nearest
from anomalib_federated.selection.rows import Rows


@dataclass(frozen=True, eq=False)
class Covering:
    """How well picked rows stand for all rows.

    Attributes:
        radius: Largest Euclidean distance of any row to its pick.
        mean_distance: Mean of these distances.
        weights: Shape ``(k,)``, float32: number of rows of each pick.
    """

    radius: float
    mean_distance: float
    weights: Tensor


def measure_covering(rows: Rows, picked: Tensor, *, owner: Tensor | None = None) -> Covering:
    """Measure in one pass how well ``picked`` stands for ``rows``.

    Args:
        rows: All rows, shape ``(n, d)``.
        picked: Features of the picks, shape ``(k, d)``, any floating dtype.
        owner: Number of the pick of each row, shape ``(n,)``, an integer type; ``None`` searches the nearest.

    Example:
        >>> import torch
        >>> from anomalib_federated.selection.rows import TensorRows
        >>> line = torch.tensor([[0.0], [1.0], [2.0], [10.0]])
        >>> measure_covering(TensorRows(line), line[[0, 3]])
        Covering(radius=2.0, mean_distance=0.75, weights=tensor([3., 1.]))
    """
    picked = picked.float()
    weights = torch.zeros(len(picked), dtype=torch.int64)
    radius, total = 0.0, 0.0
    for which, block in rows.blocks():
        on_device = picked.to(block.device)
        mine = nearest(block, on_device)[1] if owner is None else owner[which].to(block.device, torch.int64)
        distances = (block - on_device[mine]).norm(dim=1)
        radius = max(radius, float(distances.max()))
        total += float(distances.sum(dtype=torch.float64))
        weights += torch.bincount(mine, minlength=len(picked)).cpu()
    return Covering(radius=radius, mean_distance=total / len(rows), weights=weights.float())
