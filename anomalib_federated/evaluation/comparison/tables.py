"""Results and comparisons as tables: for people as text, for programs as numbers in full precision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from math import isnan
from statistics import fmean, stdev

import pandas as pd

from anomalib_federated.evaluation.comparison.findings import p_value, signed
from anomalib_federated.evaluation.comparison.statistics import Estimate
from anomalib_federated.evaluation.comparison.values import Comparison, MethodComparison
from anomalib_federated.evaluation.results import Result
from anomalib_federated.evaluation.seed_values import figure_labels, intervals_of, seed_values
from anomalib_federated.evaluation.undefined import NOT_DEFINED

MEAN = "mean of all"
"""Column of the mean over categories."""

SHOWN = 3
"""Decimals of figures in text. The best is marked by what is shown: equal text, equal mark."""

NOT_RUN = "not run"
INCOMPLETE = "incomplete"
NOTHING = "-"

HOW_TO_READ = (
    "Values are means over seeds ± their standard deviation or, of one seed, with its bootstrap interval over test "
    "images [low, high]. The highest value of a category is marked, which says nothing about chance. A mean over all "
    "categories is given to methods that have them all. p values are two-sided and corrected by Holm for the number of "
    "methods, not for the number of figures; the t-test takes differences for normally distributed. d: Cohen's d of "
    "paired samples. Detectable: true mean difference that the t-test would notice four times in five."
)
"""What people need to know to read the tables."""

_NUMBERS: dict[str, Callable[[Comparison, MethodComparison], str | float | None]] = {
    "figure": lambda comparison, _: comparison.figure,
    "baseline": lambda comparison, _: comparison.baseline,
    "method": lambda _, method: method.method,
    "unit": lambda _, method: method.unit,
    "pairs": lambda _, method: len(method.pairs),
    "mean": lambda _, method: method.mean,
    "baseline_mean": lambda _, method: method.baseline_mean,
    "difference": lambda _, method: method.difference.value,
    "difference_low": lambda _, method: method.difference.low,
    "difference_high": lambda _, method: method.difference.high,
    "relative": lambda _, method: method.relative,
    "t_test_p": lambda _, method: method.t_test.p,
    "t_test_p_holm": lambda _, method: method.t_test_holm,
    "wilcoxon_p": lambda _, method: method.wilcoxon.p,
    "wilcoxon_p_holm": lambda _, method: method.wilcoxon_holm,
    "cohens_d": lambda _, method: method.effect.value,
    "cohens_d_low": lambda _, method: method.effect.low,
    "cohens_d_high": lambda _, method: method.effect.high,
    "detectable_difference": lambda _, method: method.detectable.value,
    "left_out": lambda _, method: "; ".join(method.left_out),
}
"""Columns of :func:`statistics_frame`."""


def figure_means(results: Sequence[Result], figure: str, *, baseline: str = "centralised") -> pd.DataFrame:
    """Means over seeds, and over categories.

    Args:
        results: Of any methods, categories and seeds.
        figure: Name of the figure.
        baseline: The method of the first row; the others follow by name.

    Returns:
        A row per method, a column per category and :data:`MEAN`; float64, NaN where there is no value.

    Raises:
        ValueError: As :func:`~anomalib_federated.evaluation.seed_values.seed_values` does.
    """
    values = seed_values(results, figure)
    means = {cell: fmean(of_seeds.values()) for cell, of_seeds in values.items() if of_seeds}
    methods = sorted({method for method, _ in values}, key=lambda method: (method != baseline, method))
    frame = pd.DataFrame(index=pd.Index(methods, name="method"))
    for category in sorted({category for _, category in values}):
        frame[category] = pd.Series({method: means.get((method, category)) for method in methods}, dtype="float64")
    frame[MEAN] = frame.dropna(axis="columns", how="all").mean(axis="columns", skipna=False)
    return frame


def figure_texts(
    results: Sequence[Result], figure: str, *, baseline: str = "centralised"
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The table of :func:`figure_means` as text, or why there is no value; and how sure each value is.

    Returns:
        Two tables of the same shape, of ``0.812`` or :data:`NOT_RUN`, :data:`NOT_DEFINED`, :data:`INCOMPLETE`, and of
        ``± 0.004`` where there are several seeds, ``[0.790, 0.840]`` where there is one with its interval, or nothing.

    Raises:
        ValueError: As :func:`~anomalib_federated.evaluation.seed_values.seed_values` does.
    """
    values, intervals = seed_values(results, figure), intervals_of(results, figure)
    means = figure_means(results, figure, baseline=baseline)
    texts = means.map(lambda mean: INCOMPLETE if isnan(mean) else f"{mean:.{SHOWN}f}")
    spreads = pd.DataFrame("", index=means.index, columns=means.columns)
    for method, category in product(means.index, means.columns.drop(MEAN)):
        of_seeds = values.get((method, category))
        if not of_seeds:
            texts.loc[method, category] = NOT_RUN if of_seeds is None else NOT_DEFINED
        elif len(of_seeds) > 1:
            spreads.loc[method, category] = f"± {stdev(of_seeds.values()):.{SHOWN}f}"
        elif ends := intervals.get((method, category, min(of_seeds))):
            spreads.loc[method, category] = f"[{ends.low:.{SHOWN}f}, {ends.high:.{SHOWN}f}]"
    return texts, spreads


def figure_table(results: Sequence[Result], figure: str, *, baseline: str = "centralised") -> pd.DataFrame:
    """Both texts of :func:`figure_texts` in one: ``0.812 ± 0.004`` or ``0.812 [0.790, 0.840]``.

    Raises:
        ValueError: As :func:`~anomalib_federated.evaluation.seed_values.seed_values` does.
    """
    texts, spreads = figure_texts(results, figure, baseline=baseline)
    return (texts + " " + spreads).map(str.strip)


def best_cells(means: pd.DataFrame) -> pd.DataFrame:
    """Which cells of :func:`figure_means` show the highest value of their column; none where no other has a value."""
    shown = means.round(SHOWN)
    return shown.eq(shown.max()) & (shown.count() > 1)


def statistics_table(comparison: Comparison) -> pd.DataFrame:
    """What tests say, as text: a row per method but the baseline."""
    rows = {method.method: _statistics(method) for method in comparison.methods}
    table = pd.DataFrame.from_dict(rows, orient="index", dtype="object")
    table.index.name = "method"
    return table


def statistics_frame(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """All numbers of comparisons in full precision: a row per figure and method; missing where they cannot be said."""
    rows = [(comparison, method) for comparison in comparisons for method in comparison.methods]
    return pd.DataFrame({name: [number(*row) for row in rows] for name, number in _NUMBERS.items()})


def values_frame(results: Sequence[Result]) -> pd.DataFrame:
    """All figures in full precision: a row per method, category, seed and figure that has a value."""
    rows = []
    for figure in figure_labels(results):
        intervals = intervals_of(results, figure)
        for (method, category), of_seeds in seed_values(results, figure).items():
            for seed, value in of_seeds.items():
                ends = intervals.get((method, category, seed))
                low, high = (None, None) if ends is None else (ends.low, ends.high)
                rows.append((method, category, seed, figure, value, low, high))
    return pd.DataFrame(rows, columns=["method", "category", "seed", "figure", "value", "low", "high"])


def _statistics(method: MethodComparison) -> dict[str, str]:
    return {
        "pairs": f"{len(method.pairs)} seeds" if method.unit == "seed" else str(len(method.pairs)),
        "difference": _estimate(method.difference),
        "relative": NOTHING if method.relative is None else f"{100 * method.relative:+.1f} %",
        "t-test p": NOTHING if method.t_test_holm is None else p_value(method.t_test_holm),
        "Wilcoxon p": NOTHING if method.wilcoxon_holm is None else p_value(method.wilcoxon_holm),
        "d": _estimate(method.effect),
        "detectable": NOTHING if method.detectable.value is None else f"{method.detectable.value:.2g}",
    }


def _estimate(estimate: Estimate) -> str:
    if estimate.value is None:
        return NOTHING
    if estimate.low is None or estimate.high is None:
        return signed(estimate.value)
    return f"{signed(estimate.value)} [{signed(estimate.low)}, {signed(estimate.high)}]"
