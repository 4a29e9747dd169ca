"""The values that plots of a figure are made of: one cell per method and category."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from anomalib_federated.evaluation.figures import HEADLINES, Interval
from anomalib_federated.evaluation.plots.style import in_order
from anomalib_federated.evaluation.results import Result


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What a method reached on a category.

    Attributes:
        values: By seed, of the seeds that have one.
        runs: Results there are, with a value or not.
        interval: Bootstrap interval, if there is one value and it has one.
        confidence: Of the interval.
    """

    values: tuple[float, ...] = ()
    runs: int = 0
    interval: Interval | None = None
    confidence: float = 0.0

    @property
    def mean(self) -> float | None:
        """Over the seeds."""
        return math.fsum(self.values) / len(self.values) if self.values else None

    @property
    def spread(self) -> tuple[float, float] | None:
        """Lowest and highest seed, or the interval of the only one."""
        if len(self.values) > 1:
            return min(self.values), max(self.values)
        return None if self.interval is None else (self.interval.low, self.interval.high)

    @property
    def missing(self) -> str:
        """Why there is no value, in two words."""
        return "no value" if self.runs else "not run"


@dataclass(frozen=True, kw_only=True)
class Cells:
    """All cells of one figure.

    Attributes:
        figure: Its name in :data:`~anomalib_federated.evaluation.figures.HEADLINES`.
        methods: In drawing order.
        categories: By name.
        by_place: The cells that were run, by method and category.
    """

    figure: str
    methods: tuple[str, ...]
    categories: tuple[str, ...]
    by_place: dict[tuple[str, str], Cell]

    def __getitem__(self, place: tuple[str, str]) -> Cell:
        return self.by_place.get(place, Cell())

    @property
    def words(self) -> str:
        """The figure's name in words."""
        return HEADLINES[self.figure]

    @property
    def values(self) -> list[float]:
        """Of all cells and seeds."""
        return [value for cell in self.by_place.values() for value in cell.values]

    def what_whiskers_mean(self) -> str:
        """A sentence on the spreads; empty if there are none."""
        seeds = sorted({len(cell.values) for cell in self.by_place.values() if len(cell.values) > 1})
        bootstrapped = [cell for cell in self.by_place.values() if len(cell.values) == 1 and cell.spread]
        sentences = []
        if seeds:
            count = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
            sentences.append(f"Values are means of {count} seeds; whiskers reach from the lowest to the highest.")
        if bootstrapped:
            one = bootstrapped[0]
            whose = "Where there is one seed, whiskers" if seeds else "Whiskers"
            sentences.append(f"{whose} are {100 * one.confidence:g} % bootstrap intervals over test images.")
        return " ".join(sentences)


def cells_of(results: Sequence[Result], figure: str) -> Cells:
    """Sort results into cells; several seeds of one method and category share a cell.

    Raises:
        ValueError: If there are no results, the figure is unknown, or a value is not finite.
    """
    require_results(results)
    if figure not in HEADLINES:
        msg = f"There is no figure named {figure!r}; choose one of {', '.join(HEADLINES)}."
        raise ValueError(msg)
    gathered: dict[tuple[str, str], list[Result]] = {}
    for result in sorted(results, key=lambda result: result.seed):
        gathered.setdefault((result.method, result.category), []).append(result)
    cells = {place: _cell(group, figure) for place, group in gathered.items()}
    if not any(cell.values for cell in cells.values()):
        msg = f"No result has a value of {HEADLINES[figure]}; choose another figure than {figure!r}."
        raise ValueError(msg)
    return Cells(
        figure=figure,
        methods=tuple(in_order(method for method, _ in cells)),
        categories=tuple(sorted({category for _, category in cells})),
        by_place=cells,
    )


def require_results(results: Iterable[Result]) -> None:
    """Refuse to draw nothing.

    Raises:
        ValueError: If there are none.
    """
    if not list(results):
        msg = "There are no results to draw; evaluate a model first."
        raise ValueError(msg)


def _cell(group: Sequence[Result], figure: str) -> Cell:
    valued = [(result, value) for result in group if (value := result.figures.headline(figure)) is not None]
    for result, value in valued:
        if not math.isfinite(value):
            msg = (
                f"{HEADLINES[figure]} of {result.method}, {result.category}, seed {result.seed} is {value}: not finite."
            )
            raise ValueError(msg)
    values = tuple(value for _, value in valued)
    if len(valued) != 1:
        return Cell(values=values, runs=len(group))
    figures = valued[0][0].figures
    return Cell(
        values=values,
        runs=len(group),
        interval=figures.intervals.get(figure),
        confidence=figures.confidence,
    )
