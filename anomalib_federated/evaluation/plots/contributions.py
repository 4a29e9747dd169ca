"""What each site put into the global bank, against its share of the patches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

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
from anomalib_federated.evaluation.results import Result


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
    patches = _percent("patches", [(share.site, share.patches) for bank in banks for share in bank.sites])
    rows = _percent("rows", [(share.site, share.rows) for bank in banks for share in bank.sites])
    sites = sorted(patches)
    title = f"What the sites gave to the bank of {plain(method)}"
    figure = new_figure(0.34 * len(sites) + 1.8, words=f"{title}: share of rows against share of patches")
    axes = figure.subplots()
    dress(axes, x="share, %", grid="x")
    axes.hlines(range(len(sites)), [patches[s] for s in sites], [rows[s] for s in sites], color=FOREGROUND, linewidth=1)
    marks = (
        ("share of the patches seen", patches, "|", FOREGROUND, 16, 2.2),
        ("share of the bank's rows", rows, "o", PALETTE[0], 8, 0.7),
    )
    for label, share, marker, color, size, edge in marks:
        axes.plot(
            [share[site] for site in sites],
            range(len(sites)),
            linestyle="none",
            marker=marker,
            color=color,
            markersize=size,
            markeredgewidth=edge,
            markeredgecolor=FOREGROUND,
            label=label,
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


def _percent(what: str, counts: Iterable[tuple[str, int]]) -> dict[str, float]:
    """Percent of each site over all banks."""
    totals: Counter[str] = Counter()
    for site, count in counts:
        totals[site] += count
    if not totals.total():
        msg = f"All sites together have 0 {what}: there are no shares to draw; look at bank.sites of the results."
        raise ValueError(msg)
    return {site: 100 * count / totals.total() for site, count in totals.items()}
