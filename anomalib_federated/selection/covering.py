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


def measure_picks(rows: Rows, indices: Tensor, *, owner: Tensor | None = None) -> Covering:
    """Measure how well some of the rows stand for all of them; each pick stands for itself, even beside its equals.

    Args:
        rows: All rows, shape ``(n, d)``.
        indices: Distinct row numbers of shape ``(k,)``, int64.
        owner: For each row the position in ``indices`` of its nearest pick, shape ``(n,)``, an integer type; written
            to. ``None`` searches them, in one pass more.

    Example:
        >>> import torch
        >>> from anomalib_federated.selection.rows import TensorRows
        >>> measure_picks(TensorRows(torch.tensor([[0.0], [0.0], [3.0]])), torch.tensor([0, 1])).weights
        tensor([2., 1.])
    """
    picked = rows.take(indices)
    owner = _nearest_pick(rows, picked) if owner is None else owner
    owner[indices] = torch.arange(len(indices), dtype=owner.dtype)
    return measure_covering(rows, picked, owner=owner)


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


def _nearest_pick(rows: Rows, picked: Tensor) -> Tensor:
    owner = torch.empty(len(rows), dtype=torch.int32)
    for which, block in rows.blocks():
        owner[which] = nearest(block, picked.to(block.device))[1].to("cpu", torch.int32)
    return owner
