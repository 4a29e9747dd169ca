"""What an export printed: size, latency and what it changed, per category."""

from __future__ import annotations

from rich.console import Console

from anomalib_federated.cli.plain_table import plain_table
from anomalib_federated.deploy.bundle import Bundle

EXPLAINED = (
    "ms: median for one picture in memory, on this machine's CPU. Change: of a picture's score, which is 0 to 1, "
    "against the detector in torch with the whole bank; flips: pictures with another verdict."
)


def print_bundle(bundle: Bundle) -> None:
    """Print one line per category.

    Args:
        bundle: The bundle.
    """
    manifest = bundle.manifest
    table = plain_table("category", numbers=("rows", "MB", "ms", "largest change", "mean", "flips"))
    for category in bundle.categories:
        entry = manifest["categories"][category]
        changed = entry["score_change"]
        table.add_row(
            category,
            str(entry["bank_rows"]),
            f"{entry['bytes'] / 1e6:.2f}",
            f"{entry['latency_ms']:.1f}",
            f"{changed['largest']:.5f}",
            f"{changed['mean']:.5f}",
            f"{changed['verdict_flips']} of {changed['pictures']}",
        )
    console = Console()
    console.print(f"{manifest['runtime']}, {manifest['precision']}", highlight=False)
    console.print(table)
    console.print(EXPLAINED, style="dim", highlight=False)
