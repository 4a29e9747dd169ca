"""How far attacks get against each defence, over how much of what bad sites send is theirs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from anomalib_federated.evaluation.plots.style import (
    FOREGROUND,
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

Curves: TypeAlias = Mapping[str, Mapping[str, Sequence[tuple[float, float]]]]
"""By attack, and in there by defence: points of share and success, both in 0 .. 1."""

_COLUMNS = 3
_PANEL_INCHES = 1.9


def attack_curves(curves: Curves, *, success: str, sentences: Sequence[str] = ()) -> Figure:
    """A panel per attack, with a curve per defence.

    Args:
        curves: What is drawn; points in ascending order of share.
        success: What success is, for the axis.
        sentences: What the reader must know.

    Raises:
        ValueError: If there is no point.

    Example:
        >>> figure = attack_curves({"whitelisting": {"none": [(0.1, 0.4), (0.5, 0.9)]}}, success="pictures hidden")
        >>> len(figure.axes)
        1
    """
    drawn = {attack: of for attack, of in curves.items() if any(of.values())}
    if not drawn:
        msg = "There is no attack with a success to draw; compute a cell with an attack first."
        raise ValueError(msg)
    look_of = looks(defence for of in drawn.values() for defence in of)
    columns = min(_COLUMNS, len(drawn))
    lines = math.ceil(len(drawn) / columns)
    height = lines * _PANEL_INCHES + 0.9 + legend_height([named(defence) for defence in look_of])
    figure = new_figure(height, words=f"{success} against the share of rows, for {', '.join(map(plain, drawn))}")
    panels = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
    for number, axes in enumerate(panels.flat):
        if number >= len(drawn):
            axes.set_visible(False)
            continue
        attack = list(drawn)[number]
        dress(axes, grid="both", title=named(attack))
        axes.set_ylim(-0.02, 1.02)
        axes.set_xlim(0, 1.02)
        axes.tick_params(labelbottom=number + columns >= len(drawn))
        for defence, points in drawn[attack].items():
            _draw(axes, points, look_of[defence])
    figure.supylabel(success, fontsize=10, color=FOREGROUND)
    legend(figure, [point(look, named(defence), line=True) for defence, look in look_of.items()])
    note(figure, "Across: share of the rows that a bad site sends which are the attack's own.", *sentences)
    return figure


def _draw(axes: Axes, points: Sequence[tuple[float, float]], look: Look) -> None:
    axes.plot(
        [share for share, _ in points],
        [value for _, value in points],
        color=look.color,
        linestyle=look.linestyle,
        linewidth=1.8,
        marker=look.marker,
        markersize=5.5,
        markeredgecolor=FOREGROUND,
        markeredgewidth=0.6,
        clip_on=False,
    )
