"""Random rows, whatever group they are of: what a fairness rule must beat."""

from __future__ import annotations

import torch
from torch import Tensor

from anomalib_federated.interfaces.fairness import Fairness
from anomalib_federated.selection.rows import Rows


class RandomRows(Fairness):
    """Draws rows of all groups alike, uniformly and without replacement."""

    def choose(self, rows: Rows, group: Tensor, *, budget: int, seed: int) -> Tensor:
        """Draw them."""
        del group
        return torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))[:budget]
