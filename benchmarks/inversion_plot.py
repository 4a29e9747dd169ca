"""One picture, and what an attacker makes of the rows that were sent of it, side by side."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

import numpy as np
import torch
from matplotlib.axes import Axes
from PIL import Image
from torch import Tensor

from anomalib_federated.evaluation.plots.saving import save
from anomalib_federated.evaluation.plots.style import FOREGROUND, TEXT_POINTS, new_figure

WORDS = "Generated picture, reconstructions of it from memory bank rows, and from what private plugins send."


def draw(
    true: Tensor, found: Mapping[str, Tensor], patches: tuple[Tensor, Tensor], mean: Tensor, options: argparse.Namespace
) -> None:
    """Write the plot.

    Args:
        true: The picture, shape ``(3, side, side)``.
        found: Reconstructions, likewise.
        patches: True ones and reconstructions from single rows, shape ``(patches, 3, crop, crop)`` each.
        mean: Mean training picture.
        options: Settings to name.
    """
    shown = {
        "original (generated)": true,
        "from its rows,\nplaces known": found["known"],
        "from its rows alone,\nplaces guessed": found["guessed"],
        "mean of all\ntraining pictures": mean,
        f"from rows with noise\n(row_noise, ε {options.row_epsilon:g} a row)": found["row_noise"],
        f"from noisy sums\n(adaptive_gaussian, ε {options.epsilon:g})": found["adaptive_gaussian"],
    }
    figure = new_figure(7.2, words=WORDS)
    above, below = figure.subfigures(2, 1, height_ratios=[5.2, 1.7], squeeze=False)[:, 0]
    for axes, (title, picture) in zip(above.subplots(2, 3).flat, shown.items(), strict=True):
        _show(axes, picture, title)
    for row, (title, part) in zip(
        below.subplots(2, len(patches[0]), squeeze=False),
        zip(("true", "from\none row"), patches, strict=True),
        strict=True,
    ):
        for axes, patch in zip(row, part, strict=True):
            _show(axes, patch, "")
        row[0].set_ylabel(title, fontsize=TEXT_POINTS, color=FOREGROUND)
    below.suptitle("patches, each from a single row", fontsize=TEXT_POINTS, color=FOREGROUND)
    save(figure, options.plot, dpi=100)
    with Image.open(options.plot) as drawn:  # what looks like noise hardly compresses, so 256 colours must do
        small = drawn.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    small.save(options.plot, optimize=True)


def _show(axes: Axes, picture: Tensor, title: str) -> None:
    levels: np.ndarray = (picture.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    axes.imshow(levels, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(title, fontsize=TEXT_POINTS, color=FOREGROUND)
