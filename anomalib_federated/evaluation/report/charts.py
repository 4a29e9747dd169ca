"""The charts of the report, as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from anomalib_federated.evaluation.figures import HEADLINES
from anomalib_federated.evaluation.plots import (
    RelativeGap,
    fpr_spro_curves,
    gap,
    grouped_bars,
    score_histograms,
    site_contributions,
    to_svg,
    trade_off,
)
from anomalib_federated.evaluation.report.numbers import Cells
from anomalib_federated.evaluation.results import Result
from anomalib_federated.evaluation.seed_values import SeedValues, seed_values
from anomalib_federated.evaluation.undefined import mean


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart.

    Attributes:
        svg: One ``<svg>`` element, which carries its own description.
        caption: What it shows.
    """

    svg: str
    caption: str


@dataclass(frozen=True, kw_only=True)
class ChartGroup:
    """Charts under one heading.

    Attributes:
        title: The heading.
        charts: At least one.
        folded: Whether one has to open it.
    """

    title: str
    charts: tuple[Chart, ...]
    folded: bool = False


def chart_groups(
    results: Sequence[Result], cells: Cells, categories: Sequence[str], *, baseline: str, figure: str
) -> list[ChartGroup]:
    """All charts that the results have data for."""
    groups = [
        ChartGroup(title="What each method reaches", charts=tuple(_overview(results, baseline, figure))),
        ChartGroup(title="FPR-sPRO curves", charts=tuple(_curves(results, categories))),
        *(
            ChartGroup(title=f"Scores of {category}", charts=tuple(_histograms(cells, category)), folded=True)
            for category in categories
        ),
    ]
    return [group for group in groups if group.charts]


def site_charts(results: Sequence[Result], methods: Sequence[str]) -> dict[str, Chart]:
    """By method, what each site has of the patches and of the rows; only where several sites tell it."""
    charts = {}
    for method in methods:
        sites = {
            share.site
            for result in results
            if result.method == method and result.bank is not None
            for share in result.bank.sites
            if share.images
        }
        if len(sites) > 1:
            charts[method] = _chart(site_contributions(results, method), "Shares of each site, over all categories")
    return charts


def _overview(results: Sequence[Result], baseline: str, figure: str) -> list[Chart]:
    words, values = HEADLINES[figure], seed_values(results, figure)
    valued = [
        result for result in results if values.get((result.method, result.category), {}).get(result.seed) is not None
    ]
    if not valued:
        return []
    charts = [_chart(grouped_bars(results, figure), f"{words} per category")]
    gaps = relative_gaps(values, baseline=baseline)
    if any(item.gap is not None for item in gaps):
        ranges = "Lines reach from the least to the largest gap of the seeds."
        drawn = gap(
            gaps, words=words, intervals=ranges if any(item.low is not None for item in gaps) else "", baseline=baseline
        )
        charts.append(_chart(drawn, f"{words}: what each method loses or gains against {baseline}"))
    if len({result.bank.rows for result in valued if result.bank is not None}) > 1:
        charts.append(_chart(trade_off(results, figure), f"{words} against the size of the bank"))
    return charts


def _curves(results: Sequence[Result], categories: Sequence[str]) -> list[Chart]:
    drawn = {result.category for result in results if result.figures.curve is not None}
    return [_chart(fpr_spro_curves(results, category), category) for category in categories if category in drawn]


def _histograms(cells: Cells, category: str) -> list[Chart]:
    firsts = [results[0] for (_, own), results in cells.items() if own == category]
    return [
        _chart(score_histograms(first), f"{first.method}, seed {first.seed}")
        for first in firsts
        if first.figures.images
    ]


def relative_gaps(values: SeedValues, *, baseline: str) -> list[RelativeGap]:
    """Per method and category, the mean gap to the baseline over the seeds that both have, and its range.

    Example:
        >>> values = {("centralised", "nut"): {0: 0.5, 1: 1.0}, ("federated", "nut"): {0: 0.25, 1: 1.0, 2: 0.1}}
        >>> [(item.gap, item.low, item.high) for item in relative_gaps(values, baseline="centralised")]
        [(-0.25, -0.5, 0.0)]
    """
    gaps = []
    for (method, category), own in values.items():
        theirs = values.get((baseline, category), {})
        each = [known for seed, value in own.items() if (known := _gap(value, theirs.get(seed))) is not None]
        if method != baseline:
            gaps.append(
                RelativeGap(
                    method=method,
                    category=category,
                    gap=mean(each),
                    low=min(each) if len(each) > 1 else None,
                    high=max(each) if len(each) > 1 else None,
                )
            )
    return gaps


def _gap(value: float, baseline: float | None) -> float | None:
    return (value - baseline) / baseline if baseline else None


def _chart(figure: Figure, caption: str) -> Chart:
    return Chart(svg=to_svg(figure), caption=caption)
