"""What a fairness rule does for the categories that share one budget: the six of the demo data set.

Every category is at a site of its own, which sends k-center rows of its patches; some categories may have fewer
training pictures. One global bank is selected from all by every rule, with the categories as groups. Per category: rows
kept, its *own* covering radius over its training patches (a picture is compared with rows of its category alone), and
what its test pictures say. ``overall`` is the mean over categories. Prints one JSON line.

Example:
    python benchmarks/fair_categories.py --root SCRATCH/demo --store SCRATCH/store --small pipe_staple tank_screw
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from circumstances import circumstances
from fair_figures import accuracy, add_options, compare, coverage, rows_of, site_bank, worst
from learnt_scores import distances, scored
from stored_patches import StoredPatches, stored_patches

from anomalib_federated.backbones import Backbone
from anomalib_federated.bank import MemoryBank
from anomalib_federated.data import make_demo_dataset
from anomalib_federated.models.patch_features import PatchFeatureExtractor
from anomalib_federated.privacy.learnt import Learnt

CATEGORIES = ("engine_wiring", "pipe_clip", "pipe_staple", "tank_screw", "underbody_pipes", "underbody_screw")


def figures_of(bank: MemoryBank, stored: dict[str, StoredPatches], train: dict[str, list[int]]) -> dict[str, Any]:
    """Of each category, of the worst, and the mean."""
    groups = {}
    for category, numbers in train.items():
        rows = bank.for_category(category).features.float()
        found = distances(Learnt(rows=rows, pictures=0), stored[category])
        reach = coverage(rows_of(stored[category].train[numbers]), rows)
        groups[category] = {
            "rows": len(rows),
            **{f"own_{name}": value for name, value in reach.items()},
            **accuracy(list(scored(found, stored[category]))),
        }
    means = {name: mean(each[name] for each in groups.values()) for name in ("image_auroc", "auc_spro@0.05")}
    return {"groups": groups, "worst": worst(groups), "overall": means}


def drawn(stored: dict[str, StoredPatches], options: argparse.Namespace, seed: int) -> dict[str, list[int]]:
    """Training pictures of each category."""
    chosen = {}
    for category, patches in stored.items():
        count = options.small_pictures if category in options.small else options.pictures
        order = np.random.default_rng(seed).permutation(len(patches.train))
        chosen[category] = sorted(order[:count].tolist())
    return chosen


def run(options: argparse.Namespace) -> list[dict[str, Any]]:
    """One result per budget and rule."""
    if not Path(options.root).exists():
        make_demo_dataset(options.root, train_images=options.pictures)
    extractor = PatchFeatureExtractor(Backbone(), image_size=(options.side, options.side))
    stored = {name: stored_patches(options.root, name, store=options.store, extractor=extractor) for name in CATEGORIES}

    def of_seed(seed: int) -> tuple[list[MemoryBank], Callable[[MemoryBank], dict[str, Any]]]:
        train = drawn(stored, options, seed)
        banks = [
            site_bank(
                stored[name].train[numbers],
                site=f"line of {name}",
                category=name,
                space=extractor.space,
                budget=options.site_budget,
                seed=seed,
            )
            for name, numbers in train.items()
        ]
        return banks, partial(figures_of, stored=stored, train=train)

    return compare(of_seed, options, group_by="category")


def main() -> None:
    """Read the command line, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, help="folder of the demo data set; made if it is not there")
    parser.add_argument("--pictures", type=int, default=40, help="training pictures of a category")
    parser.add_argument("--small", nargs="*", choices=CATEGORIES, default=[], help="categories with fewer")
    parser.add_argument("--small_pictures", type=int, default=4, help="training pictures of those")
    add_options(parser, budgets=(600, 1200, 3000))
    options = parser.parse_args()
    report = {
        "measures": "a category's own covering radius, image AUROC, AUC-sPRO@0.05: median, lowest, highest of seeds",
        "compared_with": "random rows, and k-center that ignores the categories (none)",
        **{
            name: getattr(options, name)
            for name in ("pictures", "small", "small_pictures", "site_budget", "seeds", "side")
        },
        "results": run(options),
        **circumstances("timm", "scipy"),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
