"""For every row its nearest pick, kept up to date while picks are added: the work of every greedy selection.

One matrix product serves all picks that are added together, so time is that of the processor's float32 products.
"""

from __future__ import annotations

import torch
from torch import Tensor

from anomalib_federated.selection.distances import CENTRE_SAMPLE, CHUNK_ELEMENTS, centre_of
from anomalib_federated.selection.rows import Rows, TensorRows

PRODUCT_WIDTH = 16
"""Products by a multiple of so many picks fill the processor's registers; others take up to twice as long."""
ROUNDING = 2.0**-20
"""Of a squared distance by a float32 product, relative to the squared norms in it: some units in the last place."""


class NearestPick:
    """For every row the squared distance to its nearest pick so far, and which pick that is.

    Args:
        rows: Finite features of shape ``(n, d)``.

    Attributes:
        picked: Features of the picks, shape ``(k, d)``, float32.
        squared: Squared distance of each row to its nearest pick, shape ``(n,)``, float32, by products.
        owner: Number of that pick, shape ``(n,)``, int32.

    Example:
        >>> near = NearestPick(TensorRows(torch.tensor([[0.0], [1.0], [2.0], [10.0]])))
        >>> near.add(torch.tensor([[0.0], [9.0]]))
        >>> near.squared, near.owner
        (tensor([0., 1., 4., 1.]), tensor([0, 0, 0, 1], dtype=torch.int32))
    """

    def __init__(self, rows: Rows) -> None:
        n, d = rows.shape
        self.rows = _on_fastest_device(rows)
        sample = torch.linspace(0, n - 1, min(CENTRE_SAMPLE, n)).long()
        self.centre = centre_of(rows.take(sample))
        self.picked = torch.empty(0, d)
        self.squared = torch.full((n,), float("inf"))
        self.owner = torch.zeros(n, dtype=torch.int32)
        self._norms = torch.empty(n)
        for which, block in self.rows.blocks():
            self._norms[which] = (block - self.centre.to(block.device)).pow(2).sum(1).cpu()

    def add(self, picked: Tensor) -> None:
        """Add picks and update all rows in one pass.

        Args:
            picked: Features of shape ``(m, d)``, any floating dtype.
        """
        picked = picked.float()
        centred = picked - self.centre
        # |x - y|^2 around the centre, out of rows as they are stored: only the picks are moved.
        shift = (centred.double().pow(2).sum(1) + 2 * centred.double() @ self.centre.double()).float()
        transposed = centred.T.contiguous()
        for which, block in self.rows.blocks():
            self._update(which, block, transposed.to(block.device), shift.to(block.device))
        self.picked = torch.cat([self.picked, picked])

    def farthest(self, count: int) -> tuple[Tensor, float]:
        """The rows that are farthest from their picks.

        Args:
            count: How many rows.

        Returns:
            Their numbers in ascending order, and what no other row's squared distance exceeds, rounding considered; -1
            if there is no other row.
        """
        if count >= len(self.rows):
            return torch.arange(len(self.rows)), -1.0
        values, rows = self.squared.topk(count + 1)
        best_of_others = float(values[-1])
        slack = ROUNDING * (best_of_others + float(self._norms[rows].max()))
        return rows[:-1].sort().values, best_of_others + slack

    def exact(self, rows: Tensor, features: Tensor) -> Tensor:
        """Squared distances of single rows to their picks, by differences.

        Args:
            rows: Row numbers of shape ``(m,)``, int64.
            features: Their features, shape ``(m, d)``.

        Returns:
            Shape ``(m,)``, float64.
        """
        differences = features.double() - self.picked[self.owner[rows].long()].double()
        return differences.pow(2).sum(1)

    def _update(self, which: slice, block: Tensor, transposed: Tensor, shift: Tensor) -> None:
        step = max(1, CHUNK_ELEMENTS // len(shift))
        for begin in range(0, len(block), step):
            chunk = slice(which.start + begin, min(which.start + begin + step, which.stop))
            partial = torch.addmm(shift, block[begin : begin + step], transposed, alpha=-2)
            squared = partial.amin(1).cpu().add_(self._norms[chunk]).clamp_min_(0)
            # Few rows have a new nearest pick; only for those it matters which one.
            closer = (squared < self.squared[chunk]).nonzero().flatten()
            if len(closer):
                self.squared[chunk][closer] = squared[closer]
                nearest = partial[closer.to(partial.device)].argmin(1).cpu()
                self.owner[chunk][closer] = (nearest + len(self.picked)).int()


def _on_fastest_device(rows: Rows) -> Rows:
    """The rows on a GPU, if there is one with room for them."""
    if not torch.cuda.is_available():
        return rows
    n, d = rows.shape
    if 8 * n * d > torch.cuda.mem_get_info()[0]:
        return rows
    features = torch.empty(n, d, device="cuda")
    for which, block in rows.blocks():
        features[which] = block.to("cuda")
    return TensorRows(features)
