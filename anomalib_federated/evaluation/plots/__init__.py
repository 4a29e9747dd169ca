"""Plots of results: each a function that returns a matplotlib figure, of no use of pyplot and its global state.

Save one with :func:`save`, or put it into a page with :func:`to_svg`.

Example:
    >>> figure = site_category_distribution({"north": {"pipe": 5}, "south": {"pipe": 3, "tank": 8}})
    >>> to_svg(figure)[:52]
    '<svg role="img" aria-label="Training images by site '
"""

from anomalib_federated.evaluation.plots.bars import grouped_bars
from anomalib_federated.evaluation.plots.boxes import box_plot
from anomalib_federated.evaluation.plots.contributions import site_contributions
from anomalib_federated.evaluation.plots.curves import fpr_spro_curves
from anomalib_federated.evaluation.plots.distribution import site_category_distribution
from anomalib_federated.evaluation.plots.gaps import RelativeGap, gap
from anomalib_federated.evaluation.plots.groups import GroupValue, group_dots
from anomalib_federated.evaluation.plots.heat import heat_map
from anomalib_federated.evaluation.plots.histograms import score_histograms
from anomalib_federated.evaluation.plots.prices import price_panels
from anomalib_federated.evaluation.plots.saving import save, to_svg
from anomalib_federated.evaluation.plots.trading import trade_off

__all__ = [
    "GroupValue",
    "RelativeGap",
    "box_plot",
    "fpr_spro_curves",
    "gap",
    "group_dots",
    "grouped_bars",
    "heat_map",
    "price_panels",
    "save",
    "score_histograms",
    "site_category_distribution",
    "site_contributions",
    "to_svg",
    "trade_off",
]
