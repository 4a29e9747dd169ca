"""What the benchmarks of fairness rules share: banks of stored patches, every rule on them, figures of a group."""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

import torch
from stored_patches import Patches
from torch import Tensor

from anomalib_federated.bank import Contribution, FeatureSpace, MemoryBank
from anomalib_federated.evaluation.measuring.measure import measure
from anomalib_federated.evaluation.measuring.scored_image import ScoredImage
from anomalib_federated.selection.distances import nearest
from anomalib_federated_plugins.coreset.k_center import KCenterCoreset
from anomalib_federated_plugins.strategy.fair_coreset import FairCoreset

RULES = {
    "random": "random_rows.RandomRows",
    **{name: name for name in ("none", "proportional", "equal", "fair_k_center", "min_max")},
}


def rows_of(patches: Patches) -> Tensor:
    """All patches of some pictures, shape ``(n, d)``, float32."""
    return torch.from_numpy(patches.reshape(-1, patches.shape[-1])).float()


def site_bank(
    patches: Patches, *, site: str, category: str, space: FeatureSpace, budget: int | float, seed: int
) -> MemoryBank:
    """What a site sends: k-center rows of its patches.

    Args:
        patches: Of its pictures, shape ``(p, rows, columns, d)``.
        site: Its name.
        category: What the pictures show.
        space: Of the patches.
        budget: Rows, or share of the patches.
        seed: Of the coreset.
    """
    rows = rows_of(patches)
    selection = KCenterCoreset(budget=budget).select(rows, seed=seed)
    kept = len(selection.indices)
    contribution = Contribution(
        site=site,
        category=category,
        images=len(patches),
        patches=len(rows),
        rows=kept,
        coreset="k_center",
        covering_radius=selection.radius,
        mean_distance=selection.mean_distance,
        passes=selection.passes,
        seconds=selection.seconds,
    )
    return MemoryBank(
        features=rows[selection.indices],
        row_category=torch.zeros(kept, dtype=torch.int32),
        row_site=torch.zeros(kept, dtype=torch.int32),
        weights=selection.weights,
        categories=(category,),
        sites=(site,),
        space=space,
        contributions=(contribution,),
        coresets={category: "k_center"},
        covering_radius={category: selection.radius},
    )


def add_options(parser: argparse.ArgumentParser, *, budgets: Sequence[int]) -> None:
    """What every benchmark of rules can be told."""
    parser.add_argument("--store", required=True, help="folder that keeps the features of this data set, of one size")
    parser.add_argument(
        "--site_budget", type=number_or_share, default=0.1, help="rows, or share of its patches, that a site sends"
    )
    parser.add_argument("--budgets", type=int, nargs="+", default=list(budgets), help="rows of the global bank")
    parser.add_argument("--rules", nargs="+", choices=list(RULES), default=list(RULES))
    parser.add_argument("--seeds", type=int, default=5, help="of the pictures and of all that is random")
    parser.add_argument("--side", type=int, default=320, help="height and width of pictures")


def number_or_share(text: str) -> int | float:
    """An int is a number of rows, anything else a share."""
    return int(text) if text.isdecimal() else float(text)


def compare(
    of_seed: Callable[[int], tuple[Sequence[MemoryBank], Callable[[MemoryBank], dict[str, Any]]]],
    options: argparse.Namespace,
    *,
    group_by: str,
) -> list[dict[str, Any]]:
    """One result per budget and rule; progress goes to stderr.

    Args:
        of_seed: The sites' banks of a seed, and what measures a global bank of them.
        options: What :func:`add_options` reads.
        group_by: What the groups are.
    """
    logging.getLogger("anomalib_federated").setLevel(logging.ERROR)  # that there are no thresholds is no news
    found: dict[tuple[int, str], list[dict[str, Any]]] = {}
    for seed in range(options.seeds):
        banks, figures_of = of_seed(seed)
        for budget in options.budgets:
            for rule in options.rules:
                began = time.perf_counter()
                bank = FairCoreset(budget=budget, fairness=RULES[rule], group_by=group_by, seed=seed).merge(banks)
                seconds = time.perf_counter() - began
                figures = {**figures_of(bank), "seconds": round(seconds, 2)}
                line = {"seed": seed, "budget": budget, "rule": rule, **figures}
                print(json.dumps(line), file=sys.stderr, flush=True)
                found.setdefault((budget, rule), []).append(figures)
    return [{"budget": budget, "rule": rule, **over_seeds(each)} for (budget, rule), each in found.items()]


def coverage(patches: Tensor, rows: Tensor) -> dict[str, float]:
    """How far the patches of a group, shape ``(n, d)``, are from the nearest row of the bank."""
    away = nearest(patches, rows)[0]
    return {"radius": float(away.max()), "radius_95": float(away.quantile(0.95))}


def accuracy(pictures: Sequence[ScoredImage]) -> dict[str, float | None]:
    """Figures of test pictures."""
    figures = measure(pictures, resamples=0)
    localised = figures.localization.auc_spro
    return {
        "image_auroc": figures.classification.auroc,
        "auc_spro@0.05": None if localised is None else localised["0.05"],
    }


def worst(groups: Mapping[str, Mapping[str, float | None]]) -> dict[str, float | None]:
    """The smallest accuracy and the largest radius of any group, and the figures' gaps between best and worst."""
    found: dict[str, float | None] = {}
    for name in next(iter(groups.values())):
        values = [value for figures in groups.values() if (value := figures[name]) is not None]
        if name == "rows" or len(values) < len(groups):
            continue
        found[name] = max(values) if name.startswith(("radius", "own_radius")) else min(values)
        found[f"gap of {name}"] = max(values) - min(values)
    return found


def over_seeds(figures: Sequence[Any]) -> Any:
    """Median, lowest and highest of each figure; ``None`` where it was not defined for a seed."""
    if isinstance(figures[0], Mapping):
        return {name: over_seeds([each[name] for each in figures]) for name in figures[0]}
    if any(each is None for each in figures):
        return None
    return {"median": median(figures), "low": min(figures), "high": max(figures)}
