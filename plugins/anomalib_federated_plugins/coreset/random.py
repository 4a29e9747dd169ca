"""Random rows: the baseline that every coreset must beat."""

from __future__ import annotations

import torch
from torch import Tensor

from anomalib_federated.distances import nearest
from anomalib_federated.interfaces.coreset import Coreset, Selection


class RandomCoreset(Coreset):
    """Draws rows uniformly without replacement.

    Args:
        budget: Number of rows (int) or share of the rows (float in (0, 1]).

    Example:
        >>> import torch
        >>> selection = RandomCoreset(budget=2).select(torch.eye(4))
        >>> len(selection.indices), round(selection.radius, 3)
        (2, 1.414)
    """

    def select(self, features: Tensor, *, seed: int = 0, start: int | None = None) -> Selection:
        """Draw rows; ``start``, if given, is always among them and first."""
        self.check(features, start)
        order = torch.randperm(len(features), generator=torch.Generator().manual_seed(seed))
        if start is not None:
            order = torch.cat([torch.tensor([start]), order[order != start]])
        indices = order[: self.rows(len(features))]
        distances, owner = (found.cpu() for found in nearest(features, features[indices.to(features.device)]))
        # A pick stands for itself, at no distance: rounding and equal rows must not say otherwise.
        distances[indices], owner[indices] = 0, torch.arange(len(indices))
        weights = torch.bincount(owner, minlength=len(indices)).float()
        return Selection(indices, float(distances.max()), weights)
