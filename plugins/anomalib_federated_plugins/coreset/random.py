"""Random rows: the baseline that every coreset must beat."""

from __future__ import annotations

import torch

from anomalib_federated.interfaces.coreset import Coreset, Picks
from anomalib_federated.selection.covering import measure_covering
from anomalib_federated.selection.rows import Rows


class RandomCoreset(Coreset):
    """Draws rows uniformly without replacement.

    Args:
        budget: Rows (int), share of the rows (float in (0, 1]), or ``{"radius": R, "rows": MOST}``: rows are then drawn
            until they cover all within ``R``, in steps that double.

    Example:
        >>> import torch
        >>> selection = RandomCoreset(budget=2).select(torch.eye(4))
        >>> len(selection.indices), round(selection.radius, 3)
        (2, 1.414)
    """

    @property
    def is_blind(self) -> bool:
        """Unless rows are drawn until they cover all within a radius."""
        return self.budget.radius is None

    def pick(self, rows: Rows, *, seed: int, start: int | None) -> Picks:
        """Draw rows; ``start``, if given, is always among them and first."""
        order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
        if start is not None:
            order = torch.cat([torch.tensor([start]), order[order != start]])
        most = self.rows(len(rows))
        if self.budget.radius is None:
            return Picks(order[:most])
        drawn = 1
        while drawn < most and measure_covering(rows, rows.take(order[:drawn])).radius > self.budget.radius:
            drawn = min(2 * drawn, most)
        return Picks(order[:drawn])
