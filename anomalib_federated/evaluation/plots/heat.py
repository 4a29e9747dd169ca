"""Heat-map: a figure of all methods on all categories, to see at a glance where one falls behind."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from anomalib_federated.evaluation.plots.cells import Cell, cells_of
from anomalib_federated.evaluation.plots.grid import color_bar, draw_grid, frame_of
from anomalib_federated.evaluation.plots.style import new_figure, note, share_limits, with_start
from anomalib_federated.evaluation.results import Result


def heat_map(results: Sequence[Result], figure: str) -> Figure:
    """Methods down, categories across, the number in each cell; several seeds are averaged.

    Args:
        results: Of all methods, categories and seeds.
        figure: One of :func:`~anomalib_federated.evaluation.seed_values.figure_labels`.

    Raises:
        ValueError: If there is nothing to draw or the figure is unknown.
    """
    cells = cells_of(results, figure)
    table = [[cells[method, category] for category in cells.categories] for method in cells.methods]
    means = [[cell.mean for cell in row] for row in table]
    values = np.array([[np.nan if mean is None else mean for mean in row] for row in means])
    frame = frame_of(cells.methods, cells.categories)
    drawing = new_figure(
        frame.height, width=frame.width, words=f"{cells.words} by method and category, as coloured cells"
    )
    axes = drawing.subplots()
    limits = share_limits(values[~np.isnan(values)])
    colored = draw_grid(
        axes,
        values,
        frame=frame,
        texts=[[_text(cell) for cell in row] for row in table],
        colors=mpl.colormaps["viridis"],
        limits=limits,
    )
    color_bar(drawing, axes, colored, label=cells.words)
    several = any(len(cell.values) > 1 for row in table for cell in row)
    start = f"Colours: {with_start(cells.words, limits[0]).replace('axis', 'the scale')}." if limits[0] else ""
    note(drawing, "Values are means over the seeds." if several else "", start)
    return drawing


def _text(cell: Cell) -> str:
    return cell.missing.replace(" ", "\n") if cell.mean is None else f"{cell.mean:.3f}"
