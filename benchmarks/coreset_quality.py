"""Measure what a larger memory bank is worth: image AUROC and AUC-sPRO@0.05 against its rows, per coreset.

Features are extracted once per category. The rows of `random` and `k_center` for a small budget are the first of those
for a large one, so they are selected once. Prints one JSON line and draws a plot.

Example:
    python benchmarks/coreset_quality.py --root DIR --categories magnetic_tile screw --plot coreset_quality.png
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from circumstances import circumstances
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from anomalib_federated import registry
from anomalib_federated.bank import MemoryBank
from anomalib_federated.data import AutoVI
from anomalib_federated.evaluation.experiments.training import make_pooled_site
from anomalib_federated.evaluation.measuring.measure import measure
from anomalib_federated.evaluation.measuring.scored_image import scored_images
from anomalib_federated.models import FederatedPatchcore
from anomalib_federated.models.patch_collection import PatchCollection

METHODS = ("random", "k_center_streaming", "k_center")
NESTED = ("random", "k_center")
FIGURES = {"image_auroc": "image AUROC", "auspro": "AUC-sPRO@0.05"}
# Colours that those who see red and green alike can tell apart, and a mark each for print in gray.
STYLES = {"random": ("#e69f00", "s"), "k_center_streaming": ("#56b4e9", "^"), "k_center": ("#0072b2", "o")}


@dataclass(frozen=True, kw_only=True)
class Point:
    """One bank and its figures."""

    category: str
    method: str
    rows: int
    image_auroc: float | None
    auspro: float | None


def banks(patches: PatchCollection, method: str, sizes: Sequence[int], *, seed: int) -> Iterator[MemoryBank]:
    """One bank per size."""
    if method not in NESTED:
        yield from (bank_of(patches, method, size, seed=seed) for size in sizes)
        return
    largest = bank_of(patches, method, max(sizes), seed=seed)
    yield from (largest.select(torch.arange(size)) for size in sizes)


def bank_of(patches: PatchCollection, method: str, rows: int, *, seed: int) -> MemoryBank:
    coreset = registry.build("coreset", method, budget=rows)
    return patches.build_bank(coreset, method=method, site="pooled", seed=seed)


def points_of(datamodule: AutoVI, category: str, options: argparse.Namespace) -> list[Point]:
    """All points of a category."""
    model = FederatedPatchcore(image_size=(options.side, options.side), seed=options.seed, visualizer=False)
    site = make_pooled_site(model, datamodule)
    patches = site.patches()
    sizes = [size for size in sorted(options.sizes) if size <= patches.patches(category)]
    points = []
    for method in options.methods:
        for bank in banks(patches, method, sizes, seed=options.seed):
            model.bank = bank
            found = measure(scored_images(model, datamodule.test_data), resamples=0)
            point = Point(
                category=category,
                method=method,
                rows=len(bank),
                image_auroc=found.headline("image_auroc"),
                auspro=found.headline("auc_spro@0.05"),
            )
            print(point, file=sys.stderr)
            points.append(point)
    site.close()
    return points


def some(datamodule: AutoVI, pictures: int | None, *, seed: int) -> None:
    """Keep some training and test pictures, drawn at random, for a trial."""
    if pictures is None:
        return
    rng = np.random.default_rng(seed)
    for name in ("train_data", "test_data"):
        data = getattr(datamodule, name)
        setattr(datamodule, name, data.sample(sorted(rng.permutation(len(data))[:pictures].tolist())))


def draw(points: Sequence[Point], path: Path, *, side: int) -> None:
    """Figures against rows: a row of axes per figure, a column per category."""
    categories = list(dict.fromkeys(point.category for point in points))
    mpl.use("agg")
    shape, size = (len(FIGURES), len(categories)), (1 + 4 * len(categories), 6.5)
    figure, axes = plt.subplots(*shape, figsize=size, sharex=True, sharey="row", squeeze=False, layout="constrained")
    for row, (name, label) in zip(axes, FIGURES.items(), strict=True):
        for axis, category in zip(row, categories, strict=True):
            draw_lines(axis, [point for point in points if point.category == category], name)
        row[0].set_ylabel(label)
    for axis, category in zip(axes[0], categories, strict=True):
        axis.set_title(f"{category.replace('_', ' ')}, {side} x {side}")
    for axis in axes[-1]:
        axis.set_xlabel("rows of the memory bank")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)
    figure.savefig(path, dpi=150)


def draw_lines(axis: Axes, points: Sequence[Point], name: str) -> None:
    for method in dict.fromkeys(point.method for point in points):
        of_method = [point for point in points if point.method == method]
        colour, marker = STYLES[method]
        axis.plot(
            [point.rows for point in of_method],
            [np.nan if (value := getattr(point, name)) is None else value for point in of_method],
            color=colour, marker=marker, label=method,
        )  # fmt: skip
    rows = sorted({point.rows for point in points})
    axis.set_xscale("log")
    axis.set_xticks(rows, [f"{count:,}" for count in rows])
    axis.xaxis.set_minor_locator(NullLocator())
    axis.grid(alpha=0.3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", required=True, help="data folder")
    parser.add_argument("--categories", nargs="+", default=["magnetic_tile", "screw"])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 2000, 5000, 10_000, 20_000])
    parser.add_argument("--side", type=int, default=320, help="height and width of pictures")
    parser.add_argument("--pictures", type=int, help="training and test pictures to use for a trial; by default all")
    parser.add_argument("--plot", type=Path, required=True, help="PNG to write")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    points = []
    for category in options.categories:
        datamodule = AutoVI(options.root, [category])
        datamodule.setup()
        some(datamodule, options.pictures, seed=options.seed)
        points += points_of(datamodule, category, options)
    draw(points, options.plot, side=options.side)
    report = {
        "measures": "image AUROC and AUC-sPRO@0.05 against rows of the bank, pooled training",
        "compared_with": "random rows",
        "side": options.side,
        "pictures": options.pictures or "all",
        "points": [asdict(point) for point in points],
        "repeats": 1,
        **circumstances("anomalib", "timm"),
        "seed": options.seed,
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
