"""The values that plots of a figure are made of: one cell per method and category."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from anomalib_federated.evaluation.figures import Interval
from anomalib_federated.evaluation.plots.style import in_order
from anomalib_federated.evaluation.results import Result
from anomalib_federated.evaluation.seed_values import figure_labels, intervals_of, seed_values


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What a method reached on a category.

    Attributes:
        values: By seed, of the seeds that have one.
        interval: Bootstrap interval, if there is one value and it has one.
        missing: What stands where there is no value, in two words.
    """

    values: tuple[float, ...] = ()
    interval: Interval | None = None
    missing: str = "no value"

    @property
    def mean(self) -> float | None:
        """Over the seeds."""
        return fmean(self.values) if self.values else None

    @property
    def spread(self) -> tuple[float, float] | None:
        """Lowest and highest seed, or the interval of the only one."""
        if len(self.values) > 1:
            return min(self.values), max(self.values)
        return None if self.interval is None else (self.interval.low, self.interval.high)


NOT_RUN = Cell(missing="not run")


@dataclass(frozen=True, kw_only=True)
class Cells:
    """All cells of one figure.

    Attributes:
        words: The figure's name in words.
        methods: In drawing order.
        categories: By name.
        by_place: The cells that were run, by method and category.
        confidences: Of the bootstrap intervals, ascending.
    """

    words: str
    methods: tuple[str, ...]
    categories: tuple[str, ...]
    by_place: dict[tuple[str, str], Cell]
    confidences: tuple[float, ...]

    def __getitem__(self, place: tuple[str, str]) -> Cell:
        return self.by_place.get(place, NOT_RUN)

    @property
    def values(self) -> list[float]:
        """Of all cells and seeds."""
        return [value for cell in self.by_place.values() for value in cell.values]

    def what_whiskers_mean(self) -> str:
        """A sentence on the spreads; empty if there are none."""
        seeds = sorted({len(cell.values) for cell in self.by_place.values() if len(cell.values) > 1})
        sentences = []
        if seeds:
            count = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
            sentences.append(f"Values are means of {count} seeds; whiskers reach from the lowest to the highest.")
        if any(cell.interval for cell in self.by_place.values()):
            whose = "Where there is one seed, whiskers" if seeds else "Whiskers"
            confidences = " or ".join(f"{100 * confidence:g}" for confidence in self.confidences)
            sentences.append(f"{whose} are {confidences} % bootstrap intervals over test images.")
        return " ".join(sentences)


def cells_of(results: Sequence[Result], figure: str) -> Cells:
    """Sort the values of a figure into cells; several seeds of one method and category share a cell.

    Raises:
        ValueError: If no result has a value, or as :func:`~anomalib_federated.evaluation.seed_values.seed_values` does.
    """
    values, intervals = seed_values(results, figure), intervals_of(results, figure)
    words = figure_labels(results)[figure]
    if not any(values.values()):
        msg = f"No result has a value of {words}; choose another figure than {figure!r}."
        raise ValueError(msg)
    return Cells(
        words=words,
        methods=tuple(in_order(method for method, _ in values)),
        categories=tuple(sorted({category for _, category in values})),
        by_place={
            (method, category): Cell(
                values=tuple(of_seeds.values()),
                interval=intervals.get((method, category, min(of_seeds))) if len(of_seeds) == 1 else None,
            )
            for (method, category), of_seeds in values.items()
        },
        confidences=tuple(sorted({result.figures.confidence for result in results if result.figures.intervals})),
    )
