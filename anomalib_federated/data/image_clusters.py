"""Clusters of pictures that look alike: k-means on one vector per picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans
from sklearn.preprocessing import StandardScaler

Vectors: TypeAlias = NDArray[np.floating[Any]]

STARTS = 10
"""Runs of k-means from other starting points, of which the best is kept."""


@dataclass(frozen=True, eq=False, kw_only=True)
class ImageClusters:
    """Centres of clusters, in numbers that are standardised.

    Attributes:
        mean: Shape ``(d,)``, float64: subtracted from a vector first.
        scale: Shape ``(d,)``, float64, positive: what is left is divided by it.
        centres: Shape ``(k, d)``, float64: the largest cluster first, of equal ones that of the smaller numbers.
    """

    mean: Vectors
    scale: Vectors
    centres: Vectors

    @classmethod
    def fit(cls, vectors: Vectors, clusters: int, *, seed: int = 0) -> ImageClusters:
        """Find clusters.

        Args:
            vectors: One per picture, shape ``(n, d)``, finite; in what order they stand makes no difference.
            clusters: How many to find, at least 1.
            seed: Decides where k-means starts.

        Raises:
            ValueError: If fewer vectors than clusters differ from each other.

        Example:
            >>> found = ImageClusters.fit(np.array([[0.0], [9.0], [0.2], [0.1]]), 2)
            >>> found.nearest(np.array([[9.0], [0.0]])).tolist()
            [1, 0]
        """
        distinct = len(np.unique(vectors, axis=0))
        if distinct < clusters:
            msg = f"{clusters} clusters cannot be found in {distinct} pictures that differ; ask for fewer."
            raise ValueError(msg)
        ordered = vectors[np.lexsort(vectors.T[::-1])].astype(np.float64)
        scaler = StandardScaler().fit(ordered)
        standard = scaler.transform(ordered)
        centres = KMeans(clusters, n_init=STARTS, random_state=seed).fit(standard).cluster_centers_
        sizes = np.bincount(cdist(standard, centres).argmin(1), minlength=clusters)
        order = np.lexsort([*centres.T[::-1], -sizes])
        return cls(mean=scaler.mean_, scale=scaler.scale_, centres=centres[order])

    def nearest(self, vectors: Vectors) -> NDArray[np.int64]:
        """The number of the cluster whose centre is nearest to each vector, shape ``(n,)``.

        Args:
            vectors: Shape ``(n, d)``.
        """
        numbers: NDArray[np.int64] = cdist((vectors - self.mean) / self.scale, self.centres).argmin(1)
        return numbers
