"""What other packages offer to make a few rows of many: each function gives the features that it would keep."""

from __future__ import annotations

import importlib
import time

import torch
from anomalib.models.components import KCenterGreedy
from anomalib.models.image.mh_patchcore.components import MergeReduceMemoryBank
from sklearn.cluster import MiniBatchKMeans
from torch import Tensor

from anomalib_federated.selection.distances import nearest

ROWS_PER_BATCH = 4 * 1600
"""Rows of a training batch: four pictures at the default size."""


class NoProjection:
    """Stands where anomalib projects at random."""

    def fit(self, features: Tensor) -> None:
        """Nothing to fit."""

    def transform(self, features: Tensor) -> Tensor:
        """The features as they are."""
        return features


def anomalib_greedy(features: Tensor, k: int, *, seed: int) -> tuple[Tensor, float]:
    """All picks of anomalib's greedy, without its projection, and the seconds that they took."""
    sampler = KCenterGreedy(features, sampling_ratio=(k + 0.5) / len(features))
    sampler.model = NoProjection()
    torch.manual_seed(seed)
    began = time.perf_counter()
    picks = torch.tensor(sampler.select_coreset_idxs())
    return picks, time.perf_counter() - began


def anomalib_first_picks(features: Tensor, *, warm_up: int, picks: int, seed: int) -> tuple[Tensor, float]:
    """The first ``warm_up + picks`` picks of anomalib's greedy, and the seconds of one pick after the warm-up.

    Each of its picks passes once over all rows, whatever was picked before, so all of them take equally long.
    """
    sampler = KCenterGreedy(features, sampling_ratio=1.0)
    sampler.features = features
    torch.manual_seed(seed)
    chosen = [torch.randint(high=len(features), size=(1,)).squeeze()]
    began = 0.0
    for step in range(warm_up + picks - 1):
        if step == warm_up:
            began = time.perf_counter()
        sampler.update_distances(chosen[-1])
        chosen.append(sampler.get_new_idx())
        sampler.min_distances[chosen[-1]] = 0.0
    return torch.stack(chosen), (time.perf_counter() - began) / (picks - 1)


def anomalib_merge_reduce(features: Tensor, k: int, *, block: int) -> Tensor:
    """The bank of anomalib's MHPatchcore, in this space instead of its whitened one.

    Args:
        features: Shape ``(n, d)``.
        k: Rows of the bank.
        block: Rows that are kept of each batch and each merge; 256 is anomalib's default.
    """
    bank = MergeReduceMemoryBank(memory_bank_size=k, local_coreset_size=block)
    for begin in range(0, len(features), ROWS_PER_BATCH):
        bank.update(features[begin : begin + ROWS_PER_BATCH])
    bank.finalize()
    kept: Tensor = bank.bank
    return kept


def scikit_learn_k_means(features: Tensor, k: int, *, seed: int) -> Tensor:
    """The rows nearest to the centres of mini-batch k-means; fewer than ``k`` where centres share one."""
    means = MiniBatchKMeans(k, random_state=seed, n_init=1, batch_size=4096).fit(features.numpy())
    return snapped(features, torch.from_numpy(means.cluster_centers_).float())


def faiss_k_means(features: Tensor, k: int, *, seed: int) -> Tensor | None:
    """Likewise with faiss; ``None`` if it is not installed."""
    try:
        faiss = importlib.import_module("faiss")
    except ImportError:
        return None
    means = faiss.Kmeans(features.shape[1], k, seed=seed, niter=10)
    means.train(features.numpy())
    return snapped(features, torch.from_numpy(means.centroids))


def snapped(features: Tensor, centres: Tensor) -> Tensor:
    """The distinct rows that are nearest to centres: a bank holds features of real patches."""
    return features[torch.unique(nearest(centres, features)[1])]
