"""What a fairness rule does for a small group: two groups of pictures of one category, one with ten times as many.

File names tell the group. The large group is a site with many training pictures, the small one a site with few; which,
the seed draws. Each sends k-center rows of its patches, and the global bank is selected from both by every rule, with
the sites as groups. Per group: rows kept, covering radius over its training patches (the largest distance, and the 95th
percentile), and what the test pictures of that group say. Prints one JSON line.

Example:
    python benchmarks/fair_groups.py --root DIR --category magnetic_tile --store SCRATCH --large exp1 --small exp6
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from circumstances import circumstances
from fair_figures import accuracy, add_options, compare, coverage, rows_of, site_bank, worst
from learnt_scores import distances, scored
from stored_patches import StoredPatches, stored_patches

from anomalib_federated.backbones import Backbone
from anomalib_federated.bank import MemoryBank
from anomalib_federated.data.dataset import InspectionDataset
from anomalib_federated.models.patch_features import PatchFeatureExtractor
from anomalib_federated.privacy.learnt import Learnt


def pictures_of(data: InspectionDataset, group: str, *, pattern: str) -> list[int]:
    """Numbers of the pictures whose names tell the group.

    Raises:
        ValueError: If there are none.
    """
    names = [Path(path).name for path in data.samples["image_path"]]
    found = [number for number, name in enumerate(names) if (match := re.search(pattern, name)) and match[1] == group]
    if not found:
        msg = f"The pattern {pattern} finds no picture of the group '{group}', say in {names[0]}."
        raise ValueError(msg)
    return found


def drawn(stored: StoredPatches, options: argparse.Namespace, seed: int) -> dict[str, list[int]]:
    """Training pictures of both groups.

    Raises:
        ValueError: If a group has fewer than are wanted.
    """
    chosen = {}
    for group, count in ((options.large, options.pictures), (options.small, options.small_pictures)):
        there = pictures_of(stored.datamodule.train_data, group, pattern=options.pattern)
        if len(there) < count:
            msg = f"The group '{group}' has {len(there)} training pictures, not {count}; ask for fewer."
            raise ValueError(msg)
        chosen[group] = sorted(np.random.default_rng(seed).permutation(there)[:count].tolist())
    return chosen


def figures_of(
    bank: MemoryBank, stored: StoredPatches, train: dict[str, list[int]], options: argparse.Namespace
) -> dict[str, Any]:
    """Of each group, of the worse one, and of all test pictures of both."""
    rows = bank.features.float()
    test = {group: pictures_of(stored.datamodule.test_data, group, pattern=options.pattern) for group in train}
    numbers = [number for group in test for number in test[group]]
    found = distances(Learnt(rows=rows, pictures=0), stored, numbers)
    pictures = list(scored(found, stored, numbers))
    groups, begin = {}, 0
    for group in train:
        own = pictures[begin : begin + len(test[group])]
        begin += len(own)
        kept = bank.row_site == bank.sites.index(group)
        patches = rows_of(stored.train[train[group]])
        groups[group] = {
            "rows": int(kept.sum()),
            **coverage(patches, rows),
            "own_radius": coverage(patches, rows[kept])["radius"] if bool(kept.any()) else None,
            **accuracy(own),
        }
    return {"groups": groups, "worst": worst(groups), "overall": accuracy(pictures)}


def run(options: argparse.Namespace) -> list[dict[str, Any]]:
    """One result per budget and rule."""
    extractor = PatchFeatureExtractor(Backbone(), image_size=(options.side, options.side))
    stored = stored_patches(options.root, options.category, store=options.store, extractor=extractor)

    def of_seed(seed: int) -> tuple[list[MemoryBank], Callable[[MemoryBank], dict[str, Any]]]:
        train = drawn(stored, options, seed)
        banks = [
            site_bank(
                stored.train[numbers],
                site=group,
                category=options.category,
                space=extractor.space,
                budget=options.site_budget,
                seed=seed,
            )
            for group, numbers in train.items()
        ]
        return banks, partial(figures_of, stored=stored, train=train, options=options)

    return compare(of_seed, options, group_by="site")


def main() -> None:
    """Read the command line, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, help="data folder")
    parser.add_argument("--category", default="magnetic_tile")
    parser.add_argument("--pattern", default=r"^(exp[0-9])_", help="whose first group in a file's name is its group")
    parser.add_argument("--large", default="exp1", help="name of the large group")
    parser.add_argument("--small", default="exp6", help="name of the small group")
    parser.add_argument("--pictures", type=int, default=80, help="training pictures of the large group")
    parser.add_argument("--small_pictures", type=int, default=8, help="of the small group")
    add_options(parser, budgets=(200, 500, 1000, 2000))
    options = parser.parse_args()
    settings = ("category", "pattern", "large", "small", "pictures", "small_pictures", "site_budget", "seeds", "side")
    report = {
        "measures": "a group's covering radius, image AUROC and AUC-sPRO@0.05: median, lowest, highest over the seeds",
        "compared_with": "random rows, and k-center that ignores the groups (none)",
        **{name: getattr(options, name) for name in settings},
        "results": run(options),
        **circumstances("timm", "scipy"),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
