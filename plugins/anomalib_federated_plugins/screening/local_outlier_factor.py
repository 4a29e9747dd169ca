"""Local outlier factors of one site's rows among those of other sites (Breunig et al. 2000).

*LOF: Identifying Density-Based Local Outliers*, https://doi.org/10.1145/335191.335388, of rows that are no part of the
rows they are judged by, as scikit-learn's ``LocalOutlierFactor(novelty=True)`` has it. Neighbours are
searched once for every pair of sites; then the factors against any choice of sites follow without another search.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor

from anomalib_federated.bank import MemoryBank
from anomalib_federated.selection.distances import CHUNK_ELEMENTS, centre_of, squared_distances

LEAST_REACH = 1e-10
"""Added to mean distances, so that equal rows have a density; scikit-learn adds the same."""


class SiteNeighbours:
    """The nearest neighbours of all sites' rows, within each site.

    Args:
        banks: One bank per site, of one category and feature space.
        count: Neighbours to be considered, at least 1; fewer where there are fewer rows.

    Example:
        >>> from sklearn.neighbors import LocalOutlierFactor
        >>> from anomalib_federated.testing import example_bank
        >>> banks = [example_bank(site=site, seed=seed) for seed, site in enumerate("abc")]
        >>> found = SiteNeighbours(banks, count=5).factors(0, among=[1, 2])
        >>> among = torch.cat([banks[1].features, banks[2].features]).numpy()
        >>> reference = LocalOutlierFactor(n_neighbors=5, novelty=True).fit(among)
        >>> bool(abs(found.numpy() + reference.score_samples(banks[0].features.numpy())).max() < 1e-3)
        True
    """

    def __init__(self, banks: Sequence[MemoryBank], *, count: int) -> None:
        self.count = count
        self.rows = [len(bank) for bank in banks]
        centre = centre_of(torch.cat([centre_of(bank.features).unsqueeze(0) for bank in banks]))
        features = [bank.features.float() - centre for bank in banks]
        self._nearest = {
            (own, other): _nearest(features[own], features[other], count=count, same=own == other)
            for own, other in product(range(len(banks)), repeat=2)
        }

    def factors(self, judged: int, *, among: Sequence[int]) -> Tensor:
        """Local outlier factors of a site's rows among the rows of other sites.

        Args:
            judged: Number of the site.
            among: Numbers of the sites that it is judged by, without its own; together at least 2 rows.

        Returns:
            Shape ``(n,)``, float32: about 1 for a row amid others, more for one that lies farther from its neighbours
            than they lie from each other.
        """
        reach, density = self._densities(among)
        distances, neighbours = self._merged(judged, among)
        own = 1 / (torch.maximum(distances, reach[neighbours]).mean(1) + LEAST_REACH)
        return density[neighbours].mean(1) / own

    def _densities(self, among: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Distance of each row to its last neighbour, and its local density, of the sites' rows below each other."""
        found = [self._merged(site, among) for site in among]
        reach = torch.cat([distances[:, -1] for distances, _ in found])
        means = [torch.maximum(distances, reach[neighbours]).mean(1) for distances, neighbours in found]
        return reach, 1 / (torch.cat(means) + LEAST_REACH)

    def _merged(self, site: int, among: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The nearest rows of several sites to those of one: distances, and numbers in the rows below each other."""
        distances, numbers, begin = [], [], 0
        for other in among:
            each, index = self._nearest[site, other]
            distances.append(each)
            numbers.append(index + begin)
            begin += self.rows[other]
        count = min(self.count, begin - 1)
        nearest, places = torch.cat(distances, 1).topk(count, largest=False)
        return nearest, torch.cat(numbers, 1).gather(1, places)


def _nearest(x: Tensor, rows: Tensor, *, count: int, same: bool) -> tuple[Tensor, Tensor]:
    """Distances to the nearest ``count`` rows and their numbers, nearest first; no row is its own neighbour."""
    count = min(count, len(rows) - same)
    distances, numbers = torch.empty(len(x), count), torch.empty(len(x), count, dtype=torch.int64)
    step = max(1, CHUNK_ELEMENTS // len(rows))
    for begin in range(0, len(x), step):
        squared = squared_distances(x[begin : begin + step], rows)
        if same:
            squared[torch.arange(len(squared)), begin + torch.arange(len(squared))] = torch.inf
        found = squared.topk(count, largest=False)
        distances[begin : begin + step], numbers[begin : begin + step] = found.values.sqrt(), found.indices
    return distances, numbers
