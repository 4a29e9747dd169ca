"""The seeding of k-means++ as a coreset: far rows are likely, none is certain."""

from __future__ import annotations

import torch
from torch import Tensor

from anomalib_federated.interfaces.coreset import Coreset, Picks
from anomalib_federated.selection.distances import nearest
from anomalib_federated.selection.rows import Rows


class KMeansSeeding(Coreset):
    """Draws each row with a chance in proportion to its squared distance from the rows drawn before.

    Greedy k-center always takes the farthest row, so one outlier costs one row. Drawn by chance, dense regions get rows
    too: the mean distance is smaller, the covering radius larger (Arthur and Vassilvitskii 2007, *k-means++: The
    Advantages of Careful Seeding*). All features are read once per row that is drawn.

    Args:
        budget: Rows (int), share of the rows (float in (0, 1]), or ``{"radius": R, "rows": MOST}``: drawing then ends
            when all rows lie within ``R`` of a drawn one.

    Example:
        >>> import torch
        >>> KMeansSeeding(budget=2).select(torch.tensor([[0.0], [0.0], [9.0]]), start=0).indices.tolist()
        [0, 2]
    """

    def pick(self, rows: Rows, *, seed: int, start: int | None) -> Picks:
        """Draw rows; ``start``, if given, is the first."""
        chance = torch.Generator().manual_seed(seed)
        first = int(torch.randint(len(rows), (1,), generator=chance)) if start is None else start
        picked, distances = [first], torch.full((len(rows),), torch.inf)
        self._bring_near(distances, rows, first)
        while len(picked) < self.rows(len(rows)) and not self._covered(distances):
            row = _draw(distances.double().square(), picked, chance)
            picked.append(row)
            self._bring_near(distances, rows, row)
        return Picks(torch.tensor(picked))

    def _covered(self, distances: Tensor) -> bool:
        return self.budget.radius is not None and float(distances.max()) <= self.budget.radius

    @staticmethod
    def _bring_near(distances: Tensor, rows: Rows, row: int) -> None:
        """Lower the distances, shape ``(n,)``, of rows to which a newly drawn row is the nearest."""
        drawn = rows.take(torch.tensor([row]))
        for part, block in rows.blocks():
            distances[part] = torch.minimum(distances[part], nearest(block, drawn)[0])


def _draw(weights: Tensor, picked: list[int], chance: torch.Generator) -> int:
    """A row by its weight, shape ``(n,)``, float64; never one that was picked already."""
    weights[picked] = 0
    if not weights.any():  # only equals of picked rows are left: any of them is as good
        weights.fill_(1)[picked] = 0
    upto = weights.cumsum(0)
    drawn = torch.rand(1, dtype=torch.float64, generator=chance) * upto[-1]
    return int(torch.searchsorted(upto, drawn, right=True))
