"""Memory banks as tables on the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from anomalib_federated.cli.plain_table import plain_table

NOT_MEASURED = "not measured"
DISTANCES = (
    "radius and mean: largest and mean distance of a patch to its nearest row, in the full feature space; measured by "
    "direct differences, or, where the coreset says 'updated', upper bounds. Those of a site are to the rows it kept."
)


def print_bank(label: str, description: Mapping[str, Any]) -> None:
    """Print what :func:`anomalib_federated.bank.describe` found.

    Args:
        label: What the bank is called.
        description: What it tells.
    """
    console, space = Console(), description["space"]
    size = "each picture's own size" if space["image_size"] is None else "{} x {} pixels".format(*space["image_size"])
    shape = ", aspect ratio kept" if space["keep_aspect_ratio"] else ""
    shape += ", in the part's frame" if space["frame"] == "part" else ""
    console.print(f"[bold]{label}", highlight=False)
    console.print(
        f"{description['rows']} rows of {space['dim']} {description['dtype']} features, {description['bytes']} bytes\n"
        f"features: {space['backbone']}, layers {', '.join(space['layers'])}, {size}{shape}\n"
        f"digest: {description['digest']}",
        highlight=False,
        soft_wrap=True,
    )
    console.print(_categories(description["categories"]), _contributions(description["contributions"]))
    console.print(DISTANCES, style="dim", highlight=False)


def _categories(categories: Mapping[str, Mapping[str, Any]]) -> Table:
    table = plain_table("category", "coreset", numbers=("rows", "radius", "mean"))
    for name, item in categories.items():
        radius, mean = _number(item["covering_radius"]), _number(item["mean_distance"])
        table.add_row(name, item["coreset"], str(item["rows"]), radius, mean)
    return table


def _contributions(contributions: list[Mapping[str, Any]]) -> Table:
    numbers = ("images", "patches", "rows", "radius", "mean", "passes", "seconds")
    table = plain_table("site", "category", "coreset", numbers=numbers)
    for item in contributions:
        counts = [str(item[name]) for name in ("images", "patches", "rows")]
        distances = [_number(item[name]) for name in ("covering_radius", "mean_distance")]
        names = [item[name] for name in ("site", "category", "coreset")]
        table.add_row(*names, *counts, *distances, str(item["passes"]), f"{item['seconds']:.1f}")
    return table


def _number(value: float | None) -> str:
    return NOT_MEASURED if value is None else f"{value:.4g}"
