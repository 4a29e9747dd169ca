"""FPR-sPRO curves: how much of the defects is found at how many false positive pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from anomalib_federated.evaluation.figures import Curve
from anomalib_federated.evaluation.plots.style import (
    FOREGROUND,
    TEXT_POINTS,
    Look,
    dress,
    legend,
    legend_height,
    looks,
    named,
    new_figure,
    note,
    plain,
    point,
)
from anomalib_federated.evaluation.results import Result

LIMIT = 0.05
"""The false positive rate up to which the headline figure, AUC-sPRO@0.05, is integrated."""

_SMALLEST = 1e-4  # left end of the logarithmic panel


def fpr_spro_curves(results: Sequence[Result], category: str) -> Figure:
    """Curves of all methods on a category: up to a false positive rate of 0.3, and all of it on a logarithmic axis.

    Of several seeds each is a thin line and their mean, at equal false positive rates, a thick one.

    Raises:
        ValueError: If no result of the category has a curve.
    """
    look_of = looks(result.method for result in results)
    here = [result for result in results if result.category == category]
    curves = {method: _curves(here, method) for method in look_of}
    drawn = [method for method in look_of if curves[method]]
    if not drawn:
        known = ", ".join(sorted({result.category for result in results if result.figures.curve}))
        msg = f"No result of category {category!r} has a FPR-sPRO curve; those with one: {known or 'none'}."
        raise ValueError(msg)
    words = f"sPRO against false positive rate on {plain(category)}: {', '.join(drawn)}"
    labels = {method: _label(here, method) for method in drawn}
    figure = new_figure(3.4 + legend_height([*labels.values()]), words=words)
    near, whole = figure.subplots(1, 2, sharey=True, width_ratios=[3, 2])
    dress(near, x="false positive rate", y="mean sPRO", grid="both", title=named(category, width=60))
    dress(whole, x="false positive rate, log scale", grid="both")
    near.set_xlim(0, 0.3)
    near.set_ylim(0, 1)
    whole.set_xscale("log")
    whole.set_xlim(_SMALLEST, 1)
    for axes in (near, whole):
        _mark_limit(axes)
        for method in drawn:
            _draw(axes, curves[method], look_of[method])
    legend(figure, [point(look_of[method], label, line=True) for method, label in labels.items()])
    several = any(len(curves[method]) > 1 for method in drawn)
    absent = [plain(method) for method in look_of if method not in drawn]
    note(
        figure,
        f"In brackets: AUC-sPRO@{LIMIT}.",
        "Thin lines are single seeds, thick ones their mean." if several else "",
        f"No curve: {', '.join(absent)}." if absent else "",
    )
    return figure


def _curves(results: Sequence[Result], method: str) -> list[Curve]:
    return [r.figures.curve for r in results if r.method == method and r.figures.curve is not None]


def _label(results: Sequence[Result], method: str) -> str:
    values = [r.figures.headline(f"auc_spro@{LIMIT}") for r in results if r.method == method]
    known = [value for value in values if value is not None]
    return f"{named(method)} ({np.mean(known):.3f})" if known else named(method)


def _mark_limit(axes: Axes) -> None:
    axes.axvline(LIMIT, color=FOREGROUND, linewidth=1.0, linestyle=(0, (1, 2)), zorder=1)
    axes.annotate(
        f"limit {LIMIT}",
        (LIMIT, 0.0),
        xytext=(4, 4),
        textcoords="offset points",
        fontsize=TEXT_POINTS,
        color=FOREGROUND,
    )


def _draw(axes: Axes, curves: Sequence[Curve], look: Look) -> None:
    if len(curves) > 1:
        for curve in curves:
            axes.plot(curve.fpr, curve.spro, color=look.color, linewidth=0.6, alpha=0.7, label="seed")
    fpr, spro = _mean(curves)
    axes.plot(fpr, spro, color=look.color, linestyle=look.linestyle, linewidth=1.8, label="mean")
    at = _marked_rates(axes)
    axes.plot(
        at,
        np.interp(at, fpr, spro),
        linestyle="none",
        color=look.color,
        marker=look.marker,
        markersize=5.5,
        markeredgecolor=FOREGROUND,
        markeredgewidth=0.6,
        label="marks",
        clip_on=False,
    )


def _mean(curves: Sequence[Curve]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean sPRO at every rate that any seed names; one curve is kept as it is, its jumps included."""
    if len(curves) == 1:
        return np.asarray(curves[0].fpr, float), np.asarray(curves[0].spro, float)
    fpr = np.unique(np.concatenate([curve.fpr for curve in curves]))
    return fpr, np.mean([np.interp(fpr, curve.fpr, curve.spro) for curve in curves], axis=0)


def _marked_rates(axes: Axes) -> NDArray[np.float64]:
    """Where markers stand, the same for all methods, so that they can be compared upright."""
    return np.logspace(-3.5, -0.5, 4) if axes.get_xscale() == "log" else np.linspace(0.05, 0.25, 5)
