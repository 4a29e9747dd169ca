"""Euclidean distances between rows of features, by one matrix product.

``||x - y||^2 = ||x||^2 + ||y||^2 - 2 x.y``: the product is where a CPU is fast, and it converts to OpenVINO, which
``torch.cdist`` does not.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

CHUNK_ELEMENTS = 1 << 20
"""Distances held at once when searching: 4 MB in float32, so that they stay in the processor's cache."""

CENTRE_SAMPLE = 1000
"""Rows out of which :func:`centre_of` is computed."""


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """Squared Euclidean distances of every row of ``x`` to every row of ``y``.

    Args:
        x: Features of shape ``(n, d)``, float32.
        y: Features of shape ``(m, d)``, float32.

    Returns:
        Shape ``(n, m)``, never negative.

    Example:
        >>> import torch
        >>> squared_distances(torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0], [0.0, 1.0]]))
        tensor([[25.,  1.]])
    """
    products = torch.addmm(y.pow(2).sum(1), x, y.T, alpha=-2).add_(x.pow(2).sum(1, keepdim=True))
    return not_negative(products) if in_graph() else products.clamp_min_(0)


def not_negative(squared: Tensor) -> Tensor:
    """Squared distances without the little below 0 that rounding leaves, for graphs.

    OpenVINO clamps what is not a number to 0, the smallest distance of all: a part would pass. This leaves it.

    Example:
        >>> not_negative(torch.tensor([-1e-6, 2.0, torch.nan]))
        tensor([0., 2., nan])
    """
    return torch.where(squared < 0, torch.zeros_like(squared), squared)


def in_graph() -> bool:
    """Whether a graph is being recorded, for OpenVINO (traced) or ONNX; a loop would freeze its length into it."""
    return torch._C._get_tracing_state() is not None or torch.compiler.is_exporting()  # noqa: SLF001


def nearest_in_chunks(x: Tensor, norms: Tensor, rows: Tensor) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """The nearest of ``rows`` for every row of ``x``, some rows of ``x`` at a time.

    The norm of ``x`` does not decide which row is nearest, so it is added after the minimum: one pass over the product.

    Args:
        x: Features of shape ``(n, d)``, float32.
        norms: Squared norms of the rows of ``x``, shape ``(n,)``.
        rows: Features of shape ``(m, d)``, float32.

    Yields:
        Which rows of ``x``, their squared distances to the nearest row, and which row that is.
    """
    transposed, row_norms = rows.T.contiguous(), rows.pow(2).sum(1)
    step = max(1, CHUNK_ELEMENTS // len(rows))
    for begin in range(0, len(x), step):
        chunk = slice(begin, begin + step)
        partial, index = torch.addmm(row_norms, x[chunk], transposed, alpha=-2).min(1)
        yield chunk, partial.add_(norms[chunk]).clamp_min_(0), index


def centre_of(rows: Tensor) -> Tensor:
    """A point amid the rows, to be subtracted from all before products are made.

    Subtracting one common point changes no distance, and small norms lose fewer digits. It is a median, of some rows:
    unlike a mean, one far outlier does not move it.

    Args:
        rows: Features of shape ``(m, d)``, ``m >= 1``, any floating dtype.

    Returns:
        Shape ``(d,)``, float32.
    """
    sample = torch.linspace(0, len(rows) - 1, min(CENTRE_SAMPLE, len(rows))).long()
    return rows[sample.to(rows.device)].float().median(0).values


def nearest(x: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Distance of every row of ``x`` to its nearest row of ``rows``, and which row that is.

    Args:
        x: Features of shape ``(n, d)``, any floating dtype.
        rows: Features of shape ``(m, d)``, ``m >= 1``, any floating dtype.

    Returns:
        Distances of shape ``(n,)`` in float32 and indices into ``rows`` of shape ``(n,)`` in int64.

    Example:
        >>> import torch
        >>> nearest(torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0], [0.0, 1.0]]))
        (tensor([1.]), tensor([1]))
    """
    centre = centre_of(rows)
    x = x.float() - centre
    distances = torch.empty(len(x), device=x.device)
    indices = torch.empty(len(x), dtype=torch.int64, device=x.device)
    for chunk, squared, index in nearest_in_chunks(x, x.pow(2).sum(1), rows.float() - centre):
        distances[chunk], indices[chunk] = squared.sqrt(), index
    return distances, indices


def covering_radius(x: Tensor, rows: Tensor) -> float:
    """Largest distance of any row of ``x`` to its nearest row of ``rows``: how badly the worst patch is represented.

    Args:
        x: Features of shape ``(n, d)``, ``n >= 1``.
        rows: Features of shape ``(m, d)``, ``m >= 1``.

    Returns:
        The covering radius in the units of the features.
    """
    return float(nearest(x, rows)[0].max())
