"""Bars, heat-maps and box plots show the numbers of the results."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from matplotlib.collections import LineCollection, QuadMesh
from matplotlib.colors import to_rgb

from anomalib_federated.evaluation.plots import box_plot, grouped_bars, heat_map
from tests.evaluation.plot_examples import (
    CATEGORIES,
    LONG_CATEGORIES,
    LONG_METHODS,
    METHODS,
    contrast,
    drawn,
    make_results,
    tick_labels,
    value_of,
    words_of,
)


def test_bars_start_at_zero_and_are_as_long_as_the_means() -> None:
    results = make_results(seeds=3)
    figure = grouped_bars(results, "auc_spro@0.05")
    axes = figure.axes[0]
    assert axes.get_xlim() == (0, 1)
    assert len(axes.containers) == len(METHODS)
    for container in axes.containers:
        for bar, category in zip(container, CATEGORIES, strict=True):
            assert bar.get_x() == 0
            assert bar.get_width() == pytest.approx(value_of(results, container.get_label(), category, "auc_spro@0.05"))
    cores = [c.get_segments()[0][:, 0] for c in axes.collections if isinstance(c, LineCollection)][::2]
    expected = {
        tuple(
            f([r.figures.headline("auc_spro@0.05") for r in results if (r.method, r.category) == cell])
            for f in (min, max)
        )
        for cell in itertools.product(METHODS, CATEGORIES)
    }
    assert {tuple(core) for core in cores} == expected
    assert "lowest to the highest" in words_of(figure)


def test_with_one_seed_whiskers_are_the_bootstrap_intervals() -> None:
    results = make_results(seeds=1)
    figure = grouped_bars(results, "image_auroc")
    cores = {tuple(c.get_segments()[0][:, 0]) for c in figure.axes[0].collections if isinstance(c, LineCollection)}
    given = (r.figures.intervals["image_auroc"] for r in results)
    assert cores == {(interval.low, interval.high) for interval in given}
    assert "95 % bootstrap intervals" in words_of(figure)


def test_a_heat_map_says_every_mean_in_a_colour_that_it_can_be_read_on() -> None:
    results = make_results(LONG_METHODS, LONG_CATEGORIES, 1)
    figure = heat_map(results, "auc_spro@0.05")
    axes = figure.axes[0]
    assert tick_labels(figure)[0] == "centralised"
    assert [label.replace("\n", " ") for label in tick_labels(figure, "x")] == sorted(
        name.replace("_", " ") for name in LONG_CATEGORIES
    )
    mesh = next(c for c in axes.collections if isinstance(c, QuadMesh))
    values = mesh.get_array()
    assert values.shape == (8, 12)
    methods = ["centralised", *sorted(set(LONG_METHODS) - {"centralised"})]
    expected = [[value_of(results, m, c, "auc_spro@0.05") for c in sorted(LONG_CATEGORIES)] for m in methods]
    np.testing.assert_allclose(values, expected)
    texts = [text for text in axes.texts if text.get_text()]
    assert [text.get_text() for text in texts] == [f"{value:.3f}" for value in np.ravel(expected)]
    figure.draw_without_rendering()
    for text, color in zip(texts, mesh.get_facecolor(), strict=True):
        assert contrast(to_rgb(text.get_color()), color[:3]) >= 4.5


def test_box_plots_show_every_value_and_no_box_of_a_few() -> None:
    results = make_results(seeds=3)
    figure = box_plot(results, "auc_spro@0.05")
    points = drawn(figure, "values")
    for method, row in zip(METHODS, points, strict=True):
        expected = sorted(r.figures.headline("auc_spro@0.05") for r in results if r.method == method)
        np.testing.assert_allclose(sorted(row[:, 0]), expected)
    assert len(figure.axes[0].patches) == 3
    low = figure.axes[0].get_xlim()[0]
    assert low == 0 or "axis starts at" in figure.axes[0].get_xlabel()
    few = box_plot(make_results(seeds=2), "auc_spro@0.05")
    assert not few.axes[0].patches
    assert "get no box" in words_of(few)
