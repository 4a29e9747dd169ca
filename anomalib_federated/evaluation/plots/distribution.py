"""Who has what: training images by site and category."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib as mpl
import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from anomalib_federated.evaluation.plots.grid import color_bar, draw_grid, frame_of
from anomalib_federated.evaluation.plots.style import new_figure


def site_category_distribution(counts: Mapping[str, Mapping[str, int]]) -> Figure:
    """A table of counts, coloured; sums stand with the names.

    Args:
        counts: Images by site and category; a category that a site does not name is one that it has no images of.

    Raises:
        ValueError: If there is no site, no category, or a count is no whole number from 0.

    Example:
        >>> figure = site_category_distribution({"north": {"pipe": 5}, "south": {"pipe": 3, "tank": 8}})
        >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
        ['north (5)', 'south (11)']
    """
    sites = list(counts)
    categories = sorted({category for of_site in counts.values() for category in of_site})
    if not categories:
        msg = "There are no images of any site and category to draw; partition a data set first."
        raise ValueError(msg)
    for site, of_site in counts.items():
        for category, count in of_site.items():
            if not isinstance(count, (int, np.integer)) or isinstance(count, bool) or count < 0:
                msg = f"Site {site!r} has {count!r} images of {category!r}; give whole numbers from 0."
                raise ValueError(msg)
    table = np.array([[counts[site].get(category, 0) for category in categories] for site in sites], float)
    rows = [f"{site} ({total:.0f})" for site, total in zip(sites, table.sum(axis=1), strict=True)]
    columns = [f"{category} ({total:.0f})" for category, total in zip(categories, table.sum(axis=0), strict=True)]
    frame = frame_of(rows, columns)
    figure = new_figure(frame.height, width=frame.width, words="Training images by site and category")
    axes = figure.subplots()
    colored = draw_grid(
        axes,
        table,
        frame=frame,
        texts=[[f"{count:.0f}" for count in row] for row in table],
        colors=ListedColormap(mpl.colormaps["Blues"](np.linspace(0.05, 0.95, 256))),
        limits=(0, max(1.0, float(table.max()))),
    )
    color_bar(figure, axes, colored, label="images", whole=True)
    return figure
