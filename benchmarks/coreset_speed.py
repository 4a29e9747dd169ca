"""Time k-center against anomalib's KCenterGreedy and other ways to choose rows, on real features, in one run.

Three comparisons, in one JSON line:

- ``against_anomalib``: same features, same first pick, no projection on either side; medians of runs in turn. Where
  anomalib's run would take long, its time is extrapolated from some picks.
- ``same_picks``: from one thread and from several, from stores in float32 and float16.
- ``methods``: radius, mean distance and seconds of our coresets, anomalib's merge-reduce bank and k-means.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from circumstances import circumstances
from other_coresets import (
    anomalib_first_picks,
    anomalib_greedy,
    anomalib_merge_reduce,
    faiss_k_means,
    scikit_learn_k_means,
)
from real_features import SPACES, RealFeatures, real_features
from torch import Tensor

from anomalib_federated import registry
from anomalib_federated.interfaces.coreset import Selection
from anomalib_federated.patch_store import Identity, PatchStore
from anomalib_federated.selection.covering import measure_covering
from anomalib_federated.selection.rows import TensorRows

WARM_UP, TIMED_PICKS = 10, 60
SIZES = [(10_000, 1000), (40_000, 4000), (100_000, 10_000)]
METHOD_SIZES = [(40_000, 4000), (100_000, 5000)]
Figures = dict[str, object]


def k_center(features: Tensor, k: int, *, start: int) -> tuple[Selection, float]:
    coreset = registry.build("coreset", "k_center", budget=k)
    began = time.perf_counter()
    selection = coreset.select(features, start=start)
    return selection, time.perf_counter() - began


def radius(features: Tensor, picks: Tensor) -> float:
    return measure_covering(TensorRows(features), features[picks]).radius


def against_anomalib(features: Tensor, k: int, *, repeats: int, full_up_to: int, seed: int) -> Figures:
    full = k <= full_up_to
    our_seconds, their_seconds = [], []
    for _ in range(repeats):
        if full:
            theirs, seconds = anomalib_greedy(features, k, seed=seed)
        else:
            theirs, per_pick = anomalib_first_picks(features, warm_up=WARM_UP, picks=TIMED_PICKS, seed=seed)
            seconds = per_pick * (k - 1)
        their_seconds.append(seconds)
        selection, seconds = k_center(features, k, start=int(theirs[0]))
        our_seconds.append(seconds)
    same = selection.indices[: len(theirs)]
    return {
        "rows": len(features),
        "budget": k,
        "seconds": {"ours": statistics.median(our_seconds), "anomalib": statistics.median(their_seconds)},
        "anomalib_over_ours": statistics.median(their_seconds) / statistics.median(our_seconds),
        "extrapolated_from_picks": None if full else TIMED_PICKS,
        "picks_compared": len(theirs),
        **agreement(same, theirs),
        "radius_of_these": {"ours": radius(features, same), "anomalib": radius(features, theirs)},
        "radius": selection.radius,
        "passes": selection.passes,
        "repeats": repeats,
    }


def agreement(picks: Tensor, reference: Tensor) -> Figures:
    equal = picks == reference
    return {
        "equal_picks": float(equal.float().mean()),
        "equal_rows": len(set(picks.tolist()) & set(reference.tolist())) / len(equal),
        "first_difference": None if bool(equal.all()) else int((~equal).nonzero()[0]),
    }


def same_picks(real: RealFeatures, k: int, *, threads: int) -> Figures:
    coreset = registry.build("coreset", "k_center", budget=k)
    runs = {f"{threads} threads, float32 tensor": coreset.select(real.rows, start=0)}
    torch.set_num_threads(1)
    runs["1 thread, float32 tensor"] = coreset.select(real.rows, start=0)
    torch.set_num_threads(threads)
    for dtype in ("float32", "float16"):
        with tempfile.TemporaryDirectory() as folder:
            store = PatchStore(Path(folder), real.space, dtype=dtype)
            store.add("all", Identity(0, 0), real.rows)
            runs[f"{threads} threads, {dtype} store"] = coreset.select(store.rows(["all"]), start=0)
            store.close()
    first, reference = next(iter(runs.items()))
    found = {
        name: agreement(selection.indices, reference.indices)
        | {"radius_in_float32": radius(real.rows, selection.indices), "seconds": selection.seconds}
        for name, selection in runs.items()
    }
    return {"rows": len(real.rows), "budget": k, "compared_with": first, "runs": found}


def merged_parts(features: Tensor, k: int, *, seed: int) -> Tensor:
    """Four parts choose rows by themselves, up to twice the budget, and k-center chooses among these."""
    spec = {"class_path": "k_center_mergeable", "init_args": {"final_rows": k}}
    of_part = registry.build("coreset", spec, budget=2 * k)
    union = torch.cat([part[of_part.select(part, seed=seed).indices] for part in features.chunk(4)])
    return union[registry.build("coreset", "k_center", budget=k).select(union, seed=seed).indices]


def methods(features: Tensor, k: int, *, repeats: int, seed: int) -> list[Figures]:
    def ours(name: str) -> Callable[[], Tensor]:
        coreset = registry.build("coreset", name, budget=k)
        return lambda: features[coreset.select(features, seed=seed).indices]

    candidates: dict[str, tuple[int, Callable[[], Tensor | None]]] = {
        **{name: (repeats, ours(name)) for name in ("random", "k_center_streaming", "k_center")},
        "k_center_mergeable, four parts": (repeats, lambda: merged_parts(features, k, seed=seed)),
        "scikit-learn MiniBatchKMeans": (1, lambda: scikit_learn_k_means(features, k, seed=seed)),
        "faiss Kmeans": (1, lambda: faiss_k_means(features, k, seed=seed)),
        "anomalib MHPatchcore, blocks of 256": (1, lambda: anomalib_merge_reduce(features, k, block=256)),
        "anomalib MHPatchcore, blocks of budget": (1, lambda: anomalib_merge_reduce(features, k, block=k)),
    }
    found = []
    for name, (times, candidate) in candidates.items():
        seconds = []
        for _ in range(times):
            began = time.perf_counter()
            picked = candidate()
            seconds.append(time.perf_counter() - began)
        figures: Figures = {"method": name, "rows": len(features), "budget": k, "installed": picked is not None}
        if picked is not None:
            covering = measure_covering(TensorRows(features), picked)
            figures |= {
                "picked": len(picked),
                "radius": covering.radius,
                "mean_distance": covering.mean_distance,
                "seconds": statistics.median(seconds),
                "repeats": times,
            }
        print(f"  {figures}", file=sys.stderr)
        found.append(figures)
    return found


def size(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(":")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, help="data folder")
    parser.add_argument("--category", required=True)
    parser.add_argument("--spaces", nargs="+", choices=list(SPACES), default=list(SPACES))
    parser.add_argument("--sizes", type=size, nargs="*", default=SIZES, help="rows:budget against anomalib")
    parser.add_argument("--same", type=size, default=SIZES[1], help="rows:budget of the same picks")
    parser.add_argument("--methods", type=size, nargs="*", default=METHOD_SIZES, help="likewise, in the first space")
    parser.add_argument("--full-up-to", type=int, default=1000, help="anomalib runs in full up to this budget")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    threads = torch.get_num_threads()
    report: dict[str, Any] = {"against_anomalib": [], "same_picks": [], "methods": []}
    for space in options.spaces:
        most = max(rows for rows, _ in [*options.sizes, *options.methods, options.same])
        real = real_features(options.root, options.category, rows=most, space=space, seed=options.seed)
        what = {"space": space, "dimensions": real.space.dim}
        for rows, k in options.sizes:
            print(f"{space}: {k} of {rows} rows against anomalib", file=sys.stderr)
            figures = against_anomalib(
                real.rows[:rows], k, repeats=options.repeats, full_up_to=options.full_up_to, seed=options.seed
            )
            report["against_anomalib"].append(what | figures)
        rows, k = options.same
        report["same_picks"].append(what | same_picks(RealFeatures(real.rows[:rows], real.space), k, threads=threads))
        for rows, k in options.methods if space == options.spaces[0] else []:
            print(f"{space}: {k} of {rows} rows by several methods", file=sys.stderr)
            found = methods(real.rows[:rows], k, repeats=options.repeats, seed=options.seed)
            report["methods"] += [what | figures for figures in found]
    report["spaces"] = {space: SPACES[space] for space in options.spaces}
    report |= circumstances("anomalib", "scikit-learn", "timm") | {"seed": options.seed}
    measures = "k-center against anomalib's KCenterGreedy (same start, no projection) and other methods, real pictures"
    print(json.dumps({"measures": measures, "category": options.category, **report}))


if __name__ == "__main__":
    main()
