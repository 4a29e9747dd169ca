"""Score histograms: how far good and defective images lie apart, and where the thresholds fall."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from anomalib_federated.evaluation.figures import OperatingPoint
from anomalib_federated.evaluation.plots.style import (
    DASHES,
    FOREGROUND,
    PALETTE,
    dress,
    legend,
    new_figure,
    note,
    plain,
)
from anomalib_federated.evaluation.results import Result

_BINS = 40


@dataclass(frozen=True, kw_only=True)
class _Panel:
    title: str
    scores: Sequence[float]
    color: str
    hatch: str


def score_histograms(result: Result) -> Figure:
    """Validation, good and defective test images one above the other on one score axis, thresholds through all.

    Args:
        result: With the scores of its images; validation scores and operating points are drawn if it has some.

    Raises:
        ValueError: If the result has no image scores, or one that is not finite.
    """
    if not result.figures.images:
        msg = f"The result of {result.method} on {result.category} has no image scores to draw; evaluate it again."
        raise ValueError(msg)
    panels = _panels(result)
    scores = np.concatenate([panel.scores for panel in panels])
    if not np.isfinite(scores).all():
        msg = f"A score of {result.method} on {result.category}, seed {result.seed}, is not finite; evaluate it again."
        raise ValueError(msg)
    points = result.figures.operating_points
    thresholds = _by_threshold(points)
    edges = _edges(np.concatenate([scores, [*thresholds]]))
    words = f"Image scores of {result.method} on {result.category}, validation, good and defective test images"
    figure = new_figure(1.15 * len(panels) + 1.2, words=words)
    rows = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axes, panel in zip(rows, panels, strict=True):
        dress(axes, y="images", grid="y", title=panel.title)
        _draw(axes, panel, edges)
        for place, threshold in enumerate(thresholds):
            axes.axvline(threshold, color=FOREGROUND, linewidth=1.3, dashes=_dashes(place))
    rows[-1].set_xlabel("image score, unscaled")
    rows[-1].set_xlim(edges[0], edges[-1])
    if points:
        legend(figure, [_threshold(place, own) for place, own in enumerate(thresholds.values())])
    where = f"{plain(result.method)} on {plain(result.category)}, seed {result.seed}."
    note(figure, where, _from_where(points))
    return figure


def _panels(result: Result) -> list[_Panel]:
    images = result.figures.images
    validation = result.figures.validation_scores
    good = [image.score for image in images if image.good]
    defective = [image.score for image in images if not image.good]
    panels = [
        _Panel(title=f"normal, validation ({len(validation)})", scores=validation, color=PALETTE[3], hatch=""),
        _Panel(title=f"good, test ({len(good)})", scores=good, color=PALETTE[0], hatch=""),
        _Panel(title=f"defective, test ({len(defective)})", scores=defective, color=PALETTE[4], hatch="///"),
    ]
    return [panel for panel in panels if panel.scores]


def _by_threshold(points: Sequence[OperatingPoint]) -> dict[float, list[OperatingPoint]]:
    """Few validation images give several operating points one threshold, which is one line."""
    found: dict[float, list[OperatingPoint]] = {}
    for point in points:
        found.setdefault(point.threshold, []).append(point)
    return found


def _edges(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bins of equal width over scores and thresholds, with an empty one at both ends."""
    low, high = float(values.min()), float(values.max())
    air = 0.04 * (high - low) or 0.5
    return np.linspace(low - air, high + air, _BINS + 1)


def _draw(axes: Axes, panel: _Panel, edges: NDArray[np.float64]) -> None:
    counts, _ = np.histogram(panel.scores, edges)
    bars = axes.bar(
        edges[:-1],
        counts,
        width=np.diff(edges),
        align="edge",
        color=panel.color,
        edgecolor=FOREGROUND,
        linewidth=0.5,
        hatch=panel.hatch,
    )
    for bar in bars:
        bar.set_hatch_linewidth(0.5)
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.set_ylim(0, None)


def _dashes(place: int) -> tuple[float, ...]:
    return DASHES[1 + place % (len(DASHES) - 1)]


def _threshold(place: int, points: Sequence[OperatingPoint]) -> Line2D:
    found = "" if points[0].tpr is None else f", finds {100 * points[0].tpr:.0f} %"
    passed = " or ".join(f"{100 * point.tnr:g}" for point in points)
    label = f"threshold {points[0].threshold:.4g}: passes {passed} %{found}"
    return Line2D([], [], color=FOREGROUND, linewidth=1.3, dashes=_dashes(place), label=label)


def _from_where(points: Sequence[OperatingPoint]) -> str:
    if not points:
        return "No thresholds: there were no validation images."
    count = points[0].validation_images
    return (
        f"Thresholds come from {count} normal validation images: each lets the named share of them pass, or more, and "
        "finds the named share of the defective test images."
    )
