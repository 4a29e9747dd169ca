"""What each site put into the global bank, against its share of the patches."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.figure import Figure

from anomalib_federated.evaluation.plots.style import (
    FOREGROUND,
    PALETTE,
    dress,
    legend,
    named,
    new_figure,
    note,
    plain,
)
from anomalib_federated.evaluation.results import BankFacts, Result


def site_contributions(results: Sequence[Result], method: str) -> Figure:
    """A row per site: its share of all patches (tick) and of the banks' rows (point), joined by a line.

    Categories are summed up, several seeds too.

    Args:
        results: Of any methods.
        method: The one that is drawn.

    Raises:
        ValueError: If no result of the method tells which sites its bank comes from.
    """
    of_method = [result for result in results if result.method == method]
    banks = [result.bank for result in of_method if result.bank is not None and result.bank.sites]
    if not banks:
        having = sorted({result.method for result in results if result.bank is not None and result.bank.sites})
        msg = (
            f"No result of method {method!r} names the sites of its bank; those that do: {', '.join(having) or 'none'}."
        )
        raise ValueError(msg)
    patches, rows = _shares(banks, "patches"), _shares(banks, "rows")
    sites = sorted(patches)
    title = f"What the sites gave to the bank of {plain(method)}"
    figure = new_figure(0.34 * len(sites) + 1.8, words=f"{title}: share of rows against share of patches")
    axes = figure.subplots()
    dress(axes, x="share, %", grid="x")
    axes.hlines(range(len(sites)), [patches[s] for s in sites], [rows[s] for s in sites], color=FOREGROUND, linewidth=1)
    looks = ((patches, "|", FOREGROUND, 16, 2.2), (rows, "o", PALETTE[0], 8, 0.7))
    for share, marker, color, size, edge in looks:
        axes.plot(
            [share[site] for site in sites],
            range(len(sites)),
            linestyle="none",
            marker=marker,
            color=color,
            markersize=size,
            markeredgewidth=edge,
            markeredgecolor=FOREGROUND,
            label="share of the patches seen" if share is patches else "share of the bank's rows",
            clip_on=False,
            zorder=3,
        )
    axes.set_yticks(range(len(sites)), labels=[named(site) for site in sites])
    axes.set_ylim(len(sites) - 0.4, -0.6)
    axes.set_xlim(0, 1.04 * max(*patches.values(), *rows.values()))
    legend(figure, axes.get_lines())
    left_out = len(of_method) - len(banks)
    note(
        figure,
        f"{title}, summed over {len(banks)} banks." if len(banks) > 1 else f"{title}.",
        "Where one coreset was chosen over all sites, rows beyond the share of patches are of patches rare elsewhere.",
        f"Results without a bank or its sites, left out: {left_out}." if left_out else "",
    )
    return figure


def _shares(banks: Sequence[BankFacts], what: str) -> dict[str, float]:
    """Percent of each site over all banks."""
    counts: dict[str, int] = {}
    for bank in banks:
        for site in bank.sites:
            counts[site.site] = counts.get(site.site, 0) + (site.rows if what == "rows" else site.patches)
    total = math.fsum(counts.values())
    if not total:
        msg = f"All sites together have 0 {what}: there are no shares to draw; look at bank.sites of the results."
        raise ValueError(msg)
    return {site: 100 * count / total for site, count in counts.items()}
