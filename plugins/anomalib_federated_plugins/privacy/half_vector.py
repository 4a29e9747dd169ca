"""Symmetric matrices as vectors of the same length, each number once."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def half_vector_size(side: int) -> int:
    """How many numbers a symmetric matrix has that are not equal to others by symmetry.

    Example:
        >>> half_vector_size(3)
        6
    """
    return side * (side + 1) // 2


def half_vector(matrix: Tensor) -> Tensor:
    """The upper triangle, numbers off the diagonal times the root of two: Euclidean length is the Frobenius norm.

    Args:
        matrix: Symmetric, shape ``(d, d)``.

    Returns:
        Shape ``(d * (d + 1) / 2,)``.

    Example:
        >>> half_vector(torch.tensor([[1.0, 2.0], [2.0, 5.0]])).pow(2).sum()
        tensor(34.)
    """
    rows, columns = torch.triu_indices(*matrix.shape)
    return matrix[rows, columns] * _weights(rows, columns).to(matrix.dtype)


def from_half_vector(vector: Tensor) -> Tensor:
    """The symmetric matrix of a half vector.

    Args:
        vector: Shape ``(d * (d + 1) / 2,)``.

    Returns:
        Shape ``(d, d)``.

    Raises:
        ValueError: If no symmetric matrix has so many numbers.

    Example:
        >>> from_half_vector(half_vector(torch.eye(3))).equal(torch.eye(3))
        True
    """
    side = (math.isqrt(8 * len(vector) + 1) - 1) // 2
    if half_vector_size(side) != len(vector):
        msg = f"No symmetric matrix has {len(vector)} numbers; give d * (d + 1) / 2."
        raise ValueError(msg)
    rows, columns = torch.triu_indices(side, side)
    values = vector / _weights(rows, columns).to(vector.dtype)
    matrix = vector.new_zeros(side, side)
    matrix[rows, columns] = values
    matrix[columns, rows] = values
    return matrix


def _weights(rows: Tensor, columns: Tensor) -> Tensor:
    return torch.where(rows == columns, 1.0, math.sqrt(2))
