"""Select 10,000 of 3.7 million patches of 1536 dimensions under a memory limit, as ``fit --memory 4GB`` does.

The patches are generated: runs of features of real pictures plus jitter, written to the store picture by picture.
Then another process opens the store, selects, and measures. Its memory is what counts: sampled every 50 ms over the
process and all that it started, and its high-water mark as the kernel knows it. The time is compared with three floors,
each from what this machine was measured to do: reading the bytes, taking each pass out of memory, and the arithmetic of
``2 n k d`` operations. Needs 12 GB of disk at the default size; all of it is removed in the end. Prints one JSON line.

Example:
    python benchmarks/coreset_memory.py --root DIR --category magnetic_tile --rows 50000 --budget 1000 --memory 2GB
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from circumstances import circumstances
from machine_rates import machine_rates
from real_features import SPACES, RealFeatures, real_features
from watched_process import run_watched

from anomalib_federated.bank import FeatureSpace
from anomalib_federated.interfaces.coreset import Picks
from anomalib_federated.memory import parse_bytes
from anomalib_federated.models.patch_collection import PatchCollection
from anomalib_federated.selection.rows import Rows
from anomalib_federated_plugins.coreset.k_center import KCenterCoreset

GRID = (70, 100)
"""Patches of a picture: 7000, as AutoVI's 1000 x 750 pixels give at stride 8, or nearly so."""


class TimedKCenter(KCenterCoreset):
    """Tells picking from checking and measuring."""

    seconds = 0.0

    def pick(self, rows: Rows, *, seed: int, start: int | None) -> Picks:
        """As k-center does."""
        began = time.perf_counter()
        picks = super().pick(rows, seed=seed, start=start)
        self.seconds = time.perf_counter() - began
        return picks


def generate(real: RealFeatures, folder: Path, *, rows: int, jitter: float, seed: int) -> list[str]:
    """Fill a store; the paths of its pictures, empty files, whose identity the store asks for."""
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    of_picture, spread = GRID[0] * GRID[1], jitter * real.rows.std(0)
    stored, pictures = PatchCollection(real.space, folder / "store"), []
    for begin in range(0, rows, of_picture):
        count = min(of_picture, rows - begin)
        first = int(rng.integers(len(real.rows)))  # neighbours stay neighbours, as within a real picture
        features = torch.randn(count, real.space.dim, generator=generator).mul_(spread)
        features += real.rows[torch.arange(first, first + count) % len(real.rows)]
        picture = folder / f"{begin // of_picture:06d}.png"
        picture.touch()
        shape = GRID if count == of_picture else (1, count)
        stored.add(features.T.reshape(1, -1, *shape), ["generated"], [str(picture)])
        pictures.append(str(picture))
        if len(pictures) % 50 == 0:
            logging.info("%d of %d rows are generated", begin + count, rows)
    stored.close()
    return pictures


def select(space: FeatureSpace, folder: Path, pictures: list[str], options: argparse.Namespace) -> dict[str, Any]:
    """What ``fit`` does once all features are stored, in a process of its own."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    began, coreset = time.perf_counter(), TimedKCenter(budget=options.budget)
    stored = PatchCollection(space, folder / "store", memory=options.memory)
    if not all(stored.find("generated", picture) for picture in pictures):
        msg = "The store lacks features that were just generated."
        raise RuntimeError(msg)
    opened, before = time.perf_counter(), psutil.Process().io_counters()
    bank = stored.build_bank(coreset, method="k_center", site="pooled", seed=options.seed)
    built, (selection,) = time.perf_counter(), bank.contributions
    read = psutil.Process().io_counters()
    return {
        "bank_rows": selection.rows,
        "radius": selection.covering_radius,
        "mean_distance": selection.mean_distance,
        "passes": selection.passes,
        "bytes_read": read.read_chars - before.read_chars,
        "bytes_read_from_disk": read.read_bytes - before.read_bytes,
        "seconds": {
            "opening": opened - began,
            "picking": coreset.seconds,
            "checking_and_measuring": selection.seconds - coreset.seconds,
            "selection": selection.seconds,
            "all": built - began,
        },
    }


def floors(figures: dict[str, Any], rates: dict[str, float], shape: tuple[int, int], k: int) -> dict[str, float]:
    """Seconds below which nothing that reads and computes as much can be, if all that can overlap does."""
    n, d = shape
    from_disk = figures["bytes_read_from_disk"]
    cached = max(0, figures["bytes_read"] - from_disk)
    return {
        "reading": from_disk / rates["disk_bytes_per_second_cold"] + cached / rates["disk_bytes_per_second_warm"],
        "memory": 4 * n * d * figures["passes"] / rates["memory_bytes_per_second"],
        "arithmetic": 2 * n * d * k / rates["sgemm_flops"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, help="data folder")
    parser.add_argument("--category", required=True)
    parser.add_argument("--rows", type=int, default=3_700_000)
    parser.add_argument("--dim", type=int, choices=[152, 1536], default=1536)
    parser.add_argument("--budget", type=int, default=10_000)
    parser.add_argument("--memory", default="4GB")
    parser.add_argument("--base-rows", type=int, default=100_000, help="real rows that the others are made of")
    parser.add_argument("--jitter", type=float, default=0.1, help="standard deviation, in those of the real features")
    parser.add_argument("--folder", type=Path, help="where to write; by default where temporary files go")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    name = "wide" if options.dim == 1536 else "default"
    real = real_features(options.root, options.category, rows=options.base_rows, space=name, seed=options.seed)
    space, shape = real.space, (options.rows, options.dim)
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        folder, began = Path(temporary), time.perf_counter()
        pictures = generate(real, folder, rows=options.rows, jitter=options.jitter, seed=options.seed)
        generated = time.perf_counter() - began
        del real
        rates = machine_rates(folder / "store" / "generated" / "features.bin", options.dim)
        figures, memory = run_watched(select, space, folder, pictures, options)
    least = floors(figures, rates, shape, options.budget)
    limit = parse_bytes(options.memory)
    report = {
        "measures": "k-center of stored patches under a memory limit, through the code of fit, against machine floors",
        "category": options.category,
        "features": f"{SPACES[name]}, {options.base_rows} real rows, repeated with jitter of {options.jitter}",
        "rows": options.rows,
        "dimensions": options.dim,
        "store_dtype": "float16",
        "budget": options.budget,
        "memory_limit_bytes": limit,
        **asdict(memory),
        "within_limit": max(memory.peak_bytes_sampled, memory.peak_bytes_kernel) <= limit,
        "generating_seconds": generated,
        **figures,
        "machine_rates": rates,
        "floor_seconds": least,
        "selection_over_floor": figures["seconds"]["selection"] / max(least.values()),
        "repeats": 1,
        **circumstances("timm"),
        "seed": options.seed,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
