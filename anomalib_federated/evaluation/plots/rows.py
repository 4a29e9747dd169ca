"""Rows of methods in groups of one category, in one or two panels: how bars and gaps are laid out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from anomalib_federated.evaluation.plots.style import FOREGROUND, legend_height, named, new_figure

_ROW_INCHES = 0.165  # a number in 9 points fits beside
_GAP = 0.9  # rows between two groups
_ROWS_A_COLUMN = 36


@dataclass(frozen=True, kw_only=True)
class GroupedRows:
    """Where the row of each method and category lies.

    Attributes:
        methods: Of each group, from above.
        categories: One group each, from above.

    Example:
        >>> rows = GroupedRows(methods=("a", "b"), categories=("pipe", "tank"))
        >>> [rows.at(group, place) for group in (0, 1) for place in (0, 1)]
        [0.0, 1.0, 2.9, 3.9]
    """

    methods: Sequence[str]
    categories: Sequence[str]

    @property
    def stride(self) -> float:
        """Rows from a group to the next."""
        return len(self.methods) + _GAP

    def at(self, group: int, place: int) -> float:
        """Height of a row: of the method at this place, in this group of its panel."""
        return group * self.stride + place

    def columns(self) -> list[Sequence[str]]:
        """The categories of each panel: all in one or, where that would be taller than a page, halves in two."""
        half = math.ceil(len(self.categories) / 2)
        if len(self.categories) * len(self.methods) <= _ROWS_A_COLUMN or len(self.categories) == 1:
            return [self.categories]
        return [self.categories[:half], self.categories[half:]]

    def panels(self, *, beside: float, words: str) -> tuple[Figure, list[tuple[Axes, Sequence[str]]]]:
        """A figure that has room for the rows and a legend, and its panels with their categories.

        Args:
            beside: Inches for what else there is above and below.
            words: What the figure shows, for those who cannot see it.
        """
        columns = self.columns()
        rows = len(columns[0]) * self.stride * _ROW_INCHES
        figure = new_figure(rows + beside + legend_height([named(method) for method in self.methods]), words=words)
        panels = figure.subplots(1, len(columns), squeeze=False)[0]
        return figure, list(zip(panels, columns, strict=True))

    def shade(self, axes: Axes, group: int) -> None:
        """Put a light ground behind every other group."""
        if group % 2:
            first = self.at(group, 0) - 0.95
            axes.axhspan(first, first + self.stride, color=FOREGROUND, alpha=0.05, lw=0)

    def label(self, axes: Axes, categories: Sequence[str]) -> None:
        """Name each group at its middle, the first above."""
        middle = (len(self.methods) - 1) / 2
        ticks = [self.at(group, 0) + middle for group in range(len(categories))]
        axes.set_yticks(ticks, labels=[named(category) for category in categories])
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(self.at(len(categories), 0) - 0.95, -0.95)
