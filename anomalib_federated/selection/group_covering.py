"""How well some picked rows stand for each group of rows, measured by direct differences."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from anomalib_federated.selection.distances import nearest
from anomalib_federated.selection.rows import Rows


@dataclass(frozen=True, eq=False)
class GroupCovering:
    """How well picked rows stand for the rows of ``m`` groups.

    Attributes:
        radius: Shape ``(m,)``, float64: largest distance of a row of each group to its nearest pick of any group.
        own_radius: The same to its nearest pick of its own group; infinite for a group without one.
    """

    radius: Tensor
    own_radius: Tensor


def measure_groups(rows: Rows, group: Tensor, picked: Tensor, picked_group: Tensor) -> GroupCovering:
    """Measure in one pass how well ``picked`` stands for each group of ``rows``.

    Args:
        rows: All rows, shape ``(n, d)``.
        group: Number of each row's group, shape ``(n,)``, int64, ``0 .. m - 1``, each of which has a row.
        picked: Features of the picks, shape ``(k, d)``, any floating dtype.
        picked_group: Number of each pick's group, shape ``(k,)``, int64.

    Notes:
        Time ``O(n k d)``, in matrix products of a block of rows and the picks.

    Example:
        >>> from anomalib_federated.selection.rows import TensorRows
        >>> line = torch.tensor([[0.0], [1.0], [2.0], [10.0]])
        >>> group = torch.tensor([0, 0, 1, 1])
        >>> measure_groups(TensorRows(line), group, line[[1, 3]], group[[1, 3]])
        GroupCovering(radius=tensor([1., 1.], dtype=torch.float64), own_radius=tensor([1., 8.], dtype=torch.float64))
    """
    groups = int(group.max()) + 1
    picked = picked.float()
    own_picks = [picked[picked_group == number] for number in range(groups)]
    radius = torch.zeros(groups, dtype=torch.float64)
    own_radius = torch.tensor([0.0 if len(own) else torch.inf for own in own_picks], dtype=torch.float64)
    for which, block in rows.blocks():
        numbers = group[which].to(block.device)
        for number in torch.unique(numbers).tolist():
            members = block[numbers == number]
            radius[number] = max(float(radius[number]), _farthest(members, picked))
            if len(own_picks[number]):
                own_radius[number] = max(float(own_radius[number]), _farthest(members, own_picks[number]))
    return GroupCovering(radius=radius, own_radius=own_radius)


def _farthest(members: Tensor, picked: Tensor) -> float:
    """The largest distance of a member to its nearest pick."""
    picked = picked.to(members.device)
    return float((members - picked[nearest(members, picked)[1]]).norm(dim=1).max())
