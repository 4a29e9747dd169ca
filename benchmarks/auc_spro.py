"""CPU time, memory and result of the exact AUC-sPRO beside sampled thresholds; prints one JSON line per test set.

Compared with, on the same maps and masks, each in a process of its own:

- by default, at most 1050 thresholds, each compared with every pixel of every image, in numpy;
- with ``--official DIR``, the evaluation code of AutoVI, run as it stands from a checkout that you made:
  ``git clone https://github.com/phcarval/autovi_evaluation_code DIR``. It needs tqdm and
  refuses images of different sizes; for those its first 50 thresholds are chosen here.

The test set is made up, or with ``--maps`` read from maps written as 8- or 16-bit PNG at the size of the pictures,
``<maps>/<category>/test/<type>/<stem>.png``, and the masks of the data set at ``--root``.

The exact method reads its maps from a stream; making them is not in its time, but in its memory. Ratios are at the same
machine and minute. Linux only.

Example:
    python benchmarks/auc_spro.py --images 60 --size 400
    python benchmarks/auc_spro.py --images 600 --repeats 1 --official DIR
    python benchmarks/auc_spro.py --official DIR --maps MAPS --root DATA --categories screw
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path

import auc_spro_methods
from auc_spro_images import MadeUp, ScoredImages, Written
from circumstances import circumstances
from watched_process import run_watched

from anomalib_federated.metrics import FPR_LIMITS


def main() -> None:
    args = parsed_arguments()
    if args.maps is None:
        images = MadeUp(args.images, args.size, args.seed)
        print(json.dumps({"test_set": "made up", "seed": args.seed, **compared(images, args)}), flush=True)
    for category in args.categories:
        images = Written(args.maps, args.root, category)
        print(json.dumps({"test_set": category, **compared(images, args)}), flush=True)


def compared(images: ScoredImages, args: argparse.Namespace) -> dict[str, object]:
    """Both methods on one test set."""
    costs = [run_watched(auc_spro_methods.exact, images)[0] for _ in range(args.repeats)]
    exact, seconds = costs[0].result, statistics.median(cost.seconds for cost in costs)
    if args.official is not None:
        other = run_watched(auc_spro_methods.official, images, args.official)[0]
        areas, thresholds, chosen_here = other.result
        about = {"with": "AutoVI evaluation code", "thresholds": thresholds, "first_thresholds_ours": chosen_here}
    else:
        other = run_watched(auc_spro_methods.sampled, images, args.steps)[0]
        areas, about = other.result, {"with": "numpy", "thresholds": args.steps + 50}
    differences = {limit: exact[limit] - areas[limit] for limit in FPR_LIMITS}
    sizes = [scores.shape for scores, _ in images.stream()]
    pixels = sum(height * width for height, width in sizes)
    return {
        "benchmark": "auc_spro",
        "images": len(sizes),
        "pixels": pixels,
        "map_bytes_float32": 4 * pixels,
        "exact": {
            "cpu_seconds": round(seconds, 3),
            "repeats": args.repeats,
            "peak_extra_bytes": max(cost.extra_bytes for cost in costs),
            "auc_spro": exact,
        },
        "compared": {
            **about,
            "cpu_seconds": round(other.seconds, 3),
            "peak_extra_bytes": other.extra_bytes,
            "auc_spro": areas,
        },
        "ratio": round(other.seconds / seconds, 1),
        "exact_minus_compared": differences,
        "max_abs_difference": max(map(abs, differences.values())),
        **circumstances("numpy"),
    }


def parsed_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=60, help="number of made-up maps, a third of them with defects")
    parser.add_argument("--size", type=int, default=400, help="height and width of a made-up map in pixels")
    parser.add_argument("--seed", type=int, default=0, help="seed of the made-up maps")
    parser.add_argument("--repeats", type=int, default=3, help="runs of the exact method; their median counts")
    parser.add_argument(
        "--steps", type=int, default=1000, help="thresholds of the numpy comparison beyond its first 50"
    )
    parser.add_argument("--official", type=Path, help="checkout of the AutoVI evaluation code to compare with instead")
    parser.add_argument("--maps", type=Path, help="folder of written maps to measure instead of made-up ones")
    parser.add_argument("--root", type=Path, help="folder of the data set that the maps belong to")
    parser.add_argument("--categories", nargs="+", default=[], help="categories of the maps")
    args = parser.parse_args()
    if min(args.images, args.size, args.repeats) < 1 or args.steps < 0:
        parser.error("--images, --size and --repeats must be 1 or more, --steps 0 or more")
    if len({args.maps is None, args.root is None, not args.categories}) > 1:
        parser.error("--maps, --root and --categories go together: give all three or none")
    if args.official is not None and not (args.official / "src" / "aggregation.py").is_file():
        parser.error(f"--official: {args.official} has no src/aggregation.py; clone the AutoVI evaluation code there")
    return args


if __name__ == "__main__":
    main()
