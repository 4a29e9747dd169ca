"""The section of the report on groups of pictures: tables, sentences, a plot per category."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from anomalib_federated.evaluation.fairness.across import across_categories
from anomalib_federated.evaluation.fairness.fairness_file import of_cell
from anomalib_federated.evaluation.fairness.figures import FIGURES, SHOWN, By, DividedFigures, Fairness, GroupFigures
from anomalib_federated.evaluation.fairness.seeds import over_seeds
from anomalib_federated.evaluation.fairness.words import PLURAL, sentence
from anomalib_federated.evaluation.figures import Interval
from anomalib_federated.evaluation.plots import GroupValue, group_dots, to_svg
from anomalib_federated.evaluation.report.charts import Chart
from anomalib_federated.evaluation.results import Result
from anomalib_federated.evaluation.undefined import NOT_DEFINED, show

ORDER: tuple[By, ...] = ("group", "site", "defect type")
ACROSS = ("image_auroc", "auc_spro@0.05", "tpr@tnr0.95", "fpr@tnr0.95")
"""The figures whose indices over categories are shown."""


@dataclass(frozen=True, kw_only=True)
class GroupCell:
    """A figure of a method in a group.

    Attributes:
        value: With three decimals, or why there is none.
        spread: Interval or range of the seeds; empty if there is none.
        worst: Whether the method is at its worst in this group.
    """

    value: str
    spread: str
    worst: bool


@dataclass(frozen=True, kw_only=True)
class GroupLine:
    """A group of a method.

    Attributes:
        name: Of the group.
        counts: Good, defective and held-out pictures.
        cells: One per figure shown.
    """

    name: str
    counts: tuple[int, int, int]
    cells: tuple[GroupCell, ...]


@dataclass(frozen=True, kw_only=True)
class DivisionView:
    """One division of one category's pictures.

    Attributes:
        category: Name of the category.
        by: What the pictures are divided by.
        title: In words.
        columns: Figures that any group defines, in words.
        rows: Per method, its groups, and how far they lie apart; empty cells if there is nothing to compare.
        told: Per method, what the indices say.
        chart: All methods by group; ``None`` if nothing can be drawn.
        of_no_group: Test pictures that are in no group.
    """

    category: str
    by: By
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[GroupLine, ...], tuple[GroupCell, ...]], ...]
    told: tuple[tuple[str, tuple[str, ...]], ...]
    chart: Chart | None
    of_no_group: int


@dataclass(frozen=True, kw_only=True)
class AcrossRow:
    """A method's indices of a figure over the categories, as texts."""

    method: str
    worst: str
    best: str
    gap: str
    deviation: str
    variation: str
    ratio: str
    jain: str


def division_views(
    measured: Sequence[Fairness], methods: Sequence[str], categories: Sequence[str], *, figure: str
) -> list[DivisionView]:
    """Every division of every category: what was asked for first, then types of defects.

    Args:
        measured: Of all methods, categories and seeds.
        methods: In their order.
        categories: Likewise.
        figure: The one that is drawn, if it is one of groups and defined; else the first that is.
    """
    views = []
    for category in categories:
        for by in ORDER:
            divided = {
                method: over_seeds(own)
                for method in methods
                if (own := [found for one in of_cell(measured, method, category) if (found := one.by(by)) is not None])
            }
            if any(division.groups for division in divided.values()):
                views.append(_view(category, by, divided, measured, figure))
    return views


def across_rows(results: Sequence[Result], methods: Sequence[str]) -> list[tuple[str, list[AcrossRow]]]:
    """Per figure, a line per method that has it on two categories or more."""
    found = {method: across_categories(results, method) for method in methods}
    tables = []
    for figure in ACROSS:
        rows = [
            AcrossRow(
                method=method,
                worst=f"{indices[figure].worst} {indices[figure].worst_value:.3f}",
                best=f"{indices[figure].best} {indices[figure].best_value:.3f}",
                gap=show(indices[figure].gap),
                deviation=show(indices[figure].standard_deviation),
                variation=show(indices[figure].coefficient_of_variation),
                ratio=show(indices[figure].ratio),
                jain=show(indices[figure].jain),
            )
            for method, indices in found.items()
            if figure in indices
        ]
        if rows:
            tables.append((FIGURES[figure], rows))
    return tables


def _view(
    category: str, by: By, divided: dict[str, DividedFigures], measured: Sequence[Fairness], figure: str
) -> DivisionView:
    own = [one for one in measured if one.category == category]
    groups = [group for division in divided.values() for group in division.groups]
    shown = [figure for figure in SHOWN if any(group.figures.get(figure) is not None for group in groups)]
    return DivisionView(
        category=category,
        by=by,
        title=f"{category} by {by}",
        columns=tuple(FIGURES[figure] for figure in shown),
        rows=tuple(
            (method, tuple(_line(group, division, shown) for group in division.groups), _gaps(division, shown))
            for method, division in divided.items()
        ),
        told=tuple(
            (method, tuple(_sentences(division, own[0].confidence) or [_alone(by, division)]))
            for method, division in divided.items()
        ),
        chart=_chart(category, by, divided, own, figure),
        of_no_group=max(division.of_no_group for division in divided.values()),
    )


def _line(group: GroupFigures, division: DividedFigures, shown: Sequence[str]) -> GroupLine:
    return GroupLine(
        name=group.name,
        counts=(group.good, group.defective, group.held_out),
        cells=tuple(_cell(group, figure, division) for figure in shown),
    )


def _cell(group: GroupFigures, figure: str, division: DividedFigures) -> GroupCell:
    value, interval = group.figures.get(figure), group.intervals.get(figure)
    indices = division.indices.get(figure)
    return GroupCell(
        value=NOT_DEFINED if value is None else show(value),
        spread="" if interval is None else _brackets(interval),
        worst=indices is not None and indices.gap > 0 and indices.worst == group.name,
    )


def _gaps(division: DividedFigures, shown: Sequence[str]) -> tuple[GroupCell, ...]:
    found = [division.indices.get(figure) for figure in shown]
    return tuple(
        GroupCell(value="", spread="", worst=False)
        if indices is None
        else GroupCell(
            value=show(indices.gap),
            spread="" if indices.gap_interval is None else _brackets(indices.gap_interval),
            worst=False,
        )
        for indices in found
    )


def _sentences(division: DividedFigures, confidence: float) -> list[str]:
    return [
        sentence(figure, division.indices[figure], by=division.by, confidence=confidence)
        for figure in SHOWN
        if figure in division.indices
    ]


def _alone(by: By, division: DividedFigures) -> str:
    count = len(division.groups)
    return f"There is nothing to compare: no figure is defined in two {PLURAL[by]} (of {count})."


def _chart(
    category: str, by: By, divided: dict[str, DividedFigures], measured: Sequence[Fairness], figure: str
) -> Chart | None:
    for drawn in dict.fromkeys([figure, *SHOWN[:-1]]):  # distances have another scale
        values = [
            GroupValue(
                method=method,
                group=group.name,
                value=group.figures.get(drawn),
                interval=group.intervals.get(drawn),
            )
            for method, division in divided.items()
            for group in division.groups
        ]
        if any(item.value is not None for item in values):
            words = FIGURES[drawn]
            picture = group_dots(values, words=words, by=by, intervals=what_lines_are(measured))
            return Chart(svg=to_svg(picture), caption=f"{category}: {words} by {by}")
    return None


def what_lines_are(measured: Sequence[Fairness]) -> str:
    """A sentence on the intervals of groups; empty if there are none."""
    if len({one.seed for one in measured}) > 1:
        return "Values are means over seeds; lines reach from the lowest to the highest."
    found = sorted({(one.confidence, one.resamples) for one in measured if one.resamples})
    return " ".join(
        f"Lines are {100 * confidence:g} % bootstrap intervals, {resamples} resamples."
        for confidence, resamples in found
    )


def _brackets(interval: Interval) -> str:
    return f"[{interval.low:.3f}, {interval.high:.3f}]"
