"""Memory banks as tables on the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from anomalib_federated.cli.plain_table import plain_table

NOT_MEASURED, NOT_TOLD = "not measured", "not told"
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
    if description["groups"]:
        console.print(_groups(description["groups"]))
    console.print(DISTANCES, style="dim", highlight=False)
    for line in (*_own_distances(description["categories"]), *_promises(description["privacy"])):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _own_distances(categories: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for name, item in categories.items():
        if item["places"] is not None:
            yield f"{name}: a patch is compared with the rows at the nearest of {item['places']} places"
        if item["projected_to"] is not None:
            yield f"{name}: distances are measured after a projection to {item['projected_to']} numbers"


def _promises(groups: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for group in groups:
        report, sites = group["report"], ", ".join(group["sites"])
        if report is None or report["epsilon"] is None:
            yield f"privacy of {sites}: none"
        else:
            yield (
                f"privacy of {sites}: per {report['unit']}, epsilon {report['epsilon']:.4g}, delta {report['delta']:g}"
            )
        yield from (f"  {sentence}" for sentence in group["in_words"])
        if report is not None:
            yield f"  How ({report['plugin']}): {report['mechanism']}"
            for title, items in (("Covered", "covers"), ("Not covered", "exposes"), ("Public", "public")):
                if report[items]:
                    yield f"  {title}: {'; '.join(report[items])}."


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
        distances = [_number(item[name], none=NOT_TOLD) for name in ("covering_radius", "mean_distance")]
        names = [item[name] for name in ("site", "category", "coreset")]
        table.add_row(*names, *counts, *distances, str(item["passes"]), f"{item['seconds']:.1f}")
    return table


def _groups(groups: Sequence[Mapping[str, Any]]) -> Table:
    table = plain_table("site", "category", "group", numbers=("rows", "patches"))
    for item in groups:
        table.add_row(item["site"], item["category"], item["group"], str(item["rows"]), f"{item['patches']:g}")
    return table


def _number(value: float | None, *, none: str = NOT_MEASURED) -> str:
    return none if value is None else f"{value:.4g}"
