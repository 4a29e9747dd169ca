"""Features that can be computed with: no NaN, nothing infinite, nothing absurdly large."""

from __future__ import annotations

import torch

from anomalib_federated.selection.rows import Rows

MAX_FEATURE = 1e15
"""Larger features could overflow when they are squared and summed in float32."""


def check_finite(rows: Rows) -> None:
    """Refuse rows of which a feature is NaN, infinite or larger than :data:`MAX_FEATURE`; takes one pass.

    Raises:
        ValueError: If there is such a row; the error says where the first is.

    Example:
        >>> from anomalib_federated.selection.rows import TensorRows
        >>> check_finite(TensorRows(torch.tensor([[0.0], [torch.nan]])))
        Traceback (most recent call last):
        ValueError: A feature is NaN, infinite or absurdly large in row 1 (1 such rows nearby); leave these rows out.
    """
    for which, block in rows.blocks():
        low, high = torch.aminmax(block)  # NaN if any feature is, which no comparison passes
        if float(low) >= -MAX_FEATURE and float(high) <= MAX_FEATURE:
            continue
        broken = ~(torch.isfinite(block) & (block.abs() <= MAX_FEATURE)).all(1)
        first = which.start + int(broken.nonzero()[0])
        msg = (
            f"A feature is NaN, infinite or absurdly large in {rows.where(first)} "
            f"({int(broken.sum())} such rows nearby); leave these rows out."
        )
        raise ValueError(msg)
