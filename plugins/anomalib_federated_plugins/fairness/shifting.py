"""Exchanging greedy picks for rows beside them, so that no group exceeds its quota."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_flow
from torch import Tensor

from anomalib_federated.selection.distances import nearest
from anomalib_federated.selection.rows import Rows


def shift_to_quotas(rows: Rows, group: Tensor, heads: Tensor, heights: Tensor, quotas: Sequence[int]) -> Tensor:
    """As many of the first greedy picks as can be exchanged for near rows within the quotas.

    Args:
        rows: All rows, shape ``(n, d)``.
        group: Number of each row's group, shape ``(n,)``, int64.
        heads: Greedy picks in their order, shape ``(k,)``, int64.
        heights: Distance of each to those before it, shape ``(k,)``, float64, not increasing but for rounding.
        quotas: The most rows of each group; they sum to at least 1.

    Returns:
        Distinct row numbers of shape ``(h,)``, int64, at least one, of each group no more than its quota. Each stands
        for one of the first ``h`` heads, and is nearer to it than half of the distance between any two of these; ``h``
        is the largest for which there are such rows, and the largest distance of a head to its row the smallest.
    """
    numbers, away = _nearest_of_each_group(rows, group, heads)
    shifts = away.numpy()
    limits = (heights.cummin(0).values / 2).numpy()

    def among_first(count: int) -> npt.NDArray[np.intp] | None:
        return _matched(shifts[:count] < limits[count - 1], quotas)

    count = _last(among_first, len(heads))
    steps = np.unique(shifts[:count][shifts[:count] < limits[count - 1]])[::-1]
    least = _last(lambda step: _matched(shifts[:count] <= steps[step - 1], quotas), len(steps))
    taken = _matched(shifts[:count] <= steps[least - 1], quotas)
    chosen = numbers[torch.arange(count), torch.from_numpy(taken)]
    # Only where the distance between two heads is no more than rounding do they share a row.
    return torch.tensor(list(dict.fromkeys(chosen.tolist())))


def _nearest_of_each_group(rows: Rows, group: Tensor, heads: Tensor) -> tuple[Tensor, Tensor]:
    """For each head the nearest row of every group, and its distance by differences, float64; both ``(k, m)``."""
    features, groups = rows.take(heads), int(group.max()) + 1
    near = torch.full((len(heads), groups), torch.inf)
    numbers = torch.zeros(len(heads), groups, dtype=torch.int64)
    for which, block in rows.blocks():
        of_block = group[which]
        for number in torch.unique(of_block).tolist():
            members = (of_block == number).nonzero().flatten()
            distances, index = nearest(features.to(block.device), block[members.to(block.device)])
            closer = distances.cpu() < near[:, number]
            near[closer, number] = distances.cpu()[closer]
            numbers[closer, number] = which.start + members[index.cpu()[closer]]
    # Of its own group, a head is nearest to itself, even beside its equals.
    numbers[torch.arange(len(heads)), group[heads]] = heads
    away = [(features.double() - rows.take(numbers[:, number]).double()).norm(dim=1) for number in range(groups)]
    return numbers, torch.stack(away, 1)


def _last(works: Callable[[int], object], most: int) -> int:
    """The largest of ``1 .. most`` for which it works; 1 does, and what works for one does for all below."""
    low, high = 1, most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if works(middle) is not None else (low, middle - 1)
    return low


def _matched(reach: npt.NDArray[np.bool_], quotas: Sequence[int]) -> npt.NDArray[np.intp] | None:
    """A group for each head, of those that it reaches, so that no quota is exceeded; ``None`` if there is no way."""
    heads, groups = reach.shape
    source, sink = heads + groups, heads + groups + 1
    head, of_group = reach.nonzero()
    begins = np.concatenate([np.full(heads, source), head, heads + np.arange(groups)])
    ends = np.concatenate([np.arange(heads), heads + of_group, np.full(groups, sink)])
    room = np.concatenate([np.ones(heads + len(head), dtype=np.int32), np.array(quotas, dtype=np.int32)])
    network = csr_array((room, (begins, ends)), shape=(sink + 1, sink + 1))
    flow = maximum_flow(network, source, sink)
    if flow.flow_value < heads:
        return None
    chosen: npt.NDArray[np.intp] = flow.flow[:heads, heads : heads + groups].toarray().argmax(1)
    return chosen
