"""Compare the lazy k-center with sequential greedy and with anomalib's KCenterGreedy, on real features, in one run.

All three start from the same row in the same space (anomalib's random projection is off). Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version

import torch
from anomalib.models.components import KCenterGreedy

from anomalib_federated import registry
from anomalib_federated.data import AutoVI
from anomalib_federated.evaluation.experiment import make_pooled_site
from anomalib_federated.models import FederatedPatchcore


class NoProjection:
    """Stands where anomalib projects at random."""

    def fit(self, features: torch.Tensor) -> None:
        """Nothing to fit."""

    def transform(self, features: torch.Tensor) -> torch.Tensor:
        """The features as they are."""
        return features


def sequential_greedy(features: torch.Tensor, k: int, start: int) -> torch.Tensor:
    distances = torch.full((len(features),), float("inf"))
    picks = [start]
    for _ in range(k - 1):
        distances = torch.minimum(distances, (features - features[picks[-1]]).norm(dim=1))
        distances[picks] = -1
        picks.append(int(distances.argmax()))
    return torch.tensor(picks)


def anomalib_greedy(features: torch.Tensor, k: int, seed: int) -> torch.Tensor:
    sampler = KCenterGreedy(features, sampling_ratio=(k + 0.5) / len(features))
    sampler.model = NoProjection()
    torch.manual_seed(seed)
    return torch.tensor(sampler.select_coreset_idxs())


def radius(features: torch.Tensor, picks: torch.Tensor) -> float:
    exact = {"compute_mode": "donot_use_mm_for_euclid_dist"}
    return max(float(torch.cdist(rows, features[picks], **exact).amin(1).max()) for rows in features.split(2048))


def timed(function: Callable[[], object], repeats: int) -> tuple[object, float]:
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        value = function()
        seconds.append(time.perf_counter() - began)
    return value, statistics.median(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", required=True, help="data folder")
    parser.add_argument("--category", required=True)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--budget", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    datamodule = AutoVI(arguments.root, [arguments.category])
    datamodule.setup()
    datamodule.train_data = datamodule.train_data.sample(range(-(-arguments.rows // 1024)))
    site = make_pooled_site(FederatedPatchcore(layer_scales=[1.0, 1.0], visualizer=False), datamodule)
    features = site.patches().features(arguments.category)[: arguments.rows].clone()
    theirs, their_seconds = timed(lambda: anomalib_greedy(features, arguments.budget, arguments.seed), 1)
    start = int(theirs[0])
    coreset = registry.load("coreset", "k_center")(budget=arguments.budget)
    ours, our_seconds = timed(lambda: coreset.select(features, start=start), arguments.repeats)
    plain, plain_seconds = timed(lambda: sequential_greedy(features, arguments.budget, start), 1)
    print(
        json.dumps(
            {
                "measures": "lazy k-center against sequential greedy and anomalib's, same start and space",
                "features": list(features.shape),
                "budget": arguments.budget,
                "seconds": {"ours": our_seconds, "sequential": plain_seconds, "anomalib": their_seconds},
                "anomalib_over_ours": their_seconds / our_seconds,
                "same_picks_as_sequential": float((ours.indices == plain).float().mean()),
                "same_set_as_sequential": len(set(ours.indices.tolist()) & set(plain.tolist())) / arguments.budget,
                "same_picks_as_anomalib": float((ours.indices == theirs).float().mean()),
                "radius": {
                    "ours": ours.radius,
                    "sequential": radius(features, plain),
                    "anomalib": radius(features, theirs),
                },
                "repeats_of_ours": arguments.repeats,
                "threads": torch.get_num_threads(),
                "machine": f"{platform.machine()}, {os.cpu_count()} cores",
                "torch": version("torch"),
                "anomalib": version("anomalib"),
                "seed": arguments.seed,
            }
        )
    )


if __name__ == "__main__":
    main()
