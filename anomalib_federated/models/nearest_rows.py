"""Which bank row is nearest to each patch, among all or among those whose place is nearest to the patch."""

from __future__ import annotations

import torch
from torch import Tensor

from anomalib_federated.selection.distances import (
    CHUNK_ELEMENTS,
    in_graph,
    nearest_in_chunks,
    not_negative,
    squared_distances,
)

TIE = 1e-6
"""Squared distances of places that differ by less are equal: more than rounding, less than a pixel."""


def nearest_rows(queries: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Distance of each patch to its nearest row, and which row that is.

    Args:
        queries: Shape ``(n, k)``, float32, with the rows' centre subtracted.
        rows: Shape ``(m, k)``, float32.

    Returns:
        Two tensors of shape ``(n,)``: float32 and int64.
    """
    norms = queries.pow(2).sum(1)
    if in_graph():
        squared, owners = torch.addmm(rows.pow(2).sum(1), queries, rows.T, alpha=-2).min(1)
        return not_negative(squared + norms).sqrt(), owners
    parts = list(nearest_in_chunks(queries, norms, rows))
    return torch.cat([part[1] for part in parts]).sqrt_(), torch.cat([part[2] for part in parts])


def nearest_rows_in_place(
    queries: Tensor, rows: Tensor, places: Tensor, grid: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """The same, but each patch is compared with the rows at its nearest place alone; with those of all if several are.

    Args:
        queries: Patches of pictures, row by row of the patch grid, shape ``(batch * height * width, k)``, float32.
        rows: Shape ``(m, k)``, float32.
        places: Where each row counts, as shares of height and width, shape ``(m, 2)``, float32.
        grid: Height and width of the patch grid; the patch at ``i, j`` has its place amid its cell.

    Returns:
        Two tensors of shape ``(batch * height * width,)``: float32 and int64.

    Example:
        >>> rows, places = torch.tensor([[0.0], [9.0]]), torch.tensor([[0.5, 0.0], [0.5, 1.0]])
        >>> nearest_rows_in_place(torch.tensor([[8.0], [8.0]]), rows, places, (1, 2))
        (tensor([8., 1.]), tensor([0, 1]))
    """
    cells = cell_middles(grid, queries)
    by_picture = queries.reshape(-1, grid[0] * grid[1], queries.shape[1])
    if in_graph():
        distances, owners = _nearest_in_place(by_picture, rows, places, cells)
        return distances.flatten(), owners.flatten()
    step = max(1, CHUNK_ELEMENTS // (len(by_picture) * len(rows)))
    parts = [
        _nearest_in_place(some, rows, places, where)
        for some, where in zip(torch.split(by_picture, step, 1), torch.split(cells, step), strict=True)
    ]
    return torch.cat([part[0] for part in parts], 1).flatten(), torch.cat([part[1] for part in parts], 1).flatten()


def nearest_rows_at(queries: Tensor, rows: Tensor, places: Tensor, where: Tensor) -> tuple[Tensor, Tensor]:
    """The same for patches that are no whole picture.

    Args:
        queries: Shape ``(n, k)``, float32.
        rows: Shape ``(m, k)``, float32.
        places: Where each row counts, shape ``(m, 2)``, float32.
        where: Place of each patch, see :func:`cell_middles`, shape ``(n, 2)``, float32.

    Returns:
        Two tensors of shape ``(n,)``: float32 and int64.

    Example:
        >>> rows, places = torch.tensor([[0.0], [9.0]]), torch.tensor([[0.5, 0.0], [0.5, 1.0]])
        >>> nearest_rows_at(torch.tensor([[8.0]]), rows, places, torch.tensor([[0.5, 0.25]]))
        (tensor([8.]), tensor([0]))
    """
    step = max(1, CHUNK_ELEMENTS // len(rows))
    parts = [
        _nearest_in_place(some[None], rows, places, there)
        for some, there in zip(torch.split(queries, step), torch.split(where, step), strict=True)
    ]
    return torch.cat([part[0][0] for part in parts]), torch.cat([part[1][0] for part in parts])


def several_nearest_rows(queries: Tensor, count: int, *, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Distances and numbers of the ``count`` rows nearest to each query, both of shape ``(n, count)``."""
    squared, owners = squared_distances(queries, rows).topk(count, dim=1, largest=False)
    return squared.sqrt(), owners


def cell_middles(grid: tuple[int, int], like: Tensor) -> Tensor:
    """The middle of each cell of the patch grid, row by row, as shares of height and width: ``(cells, 2)``."""
    height, width = ((torch.arange(size, device=like.device) + 0.5) / size for size in grid)
    return torch.stack(torch.meshgrid(height, width, indexing="ij"), 2).flatten(0, 1)


def _nearest_in_place(queries: Tensor, rows: Tensor, places: Tensor, cells: Tensor) -> tuple[Tensor, Tensor]:
    """Of queries ``(batch, cells, k)`` at these cells, the distance to the nearest row and its number."""
    away = (cells[:, None] - places).pow(2).sum(2)
    elsewhere = away > away.amin(1, keepdim=True) + TIE
    # Shapes, not lengths: those would be frozen into a graph.
    squared = squared_distances(queries.flatten(0, 1), rows).reshape(-1, *elsewhere.shape)
    nearest, owners = squared.masked_fill(elsewhere, torch.inf).min(2)
    return nearest.sqrt(), owners
