"""Curves and histograms show what was measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from anomalib_federated.evaluation.figures import Curve
from anomalib_federated.evaluation.plots import fpr_spro_curves, score_histograms
from tests.evaluation.plot_examples import METHODS, drawn, make_result, make_results, value_of, words_of


def test_curves_are_the_results_curves_and_the_mean_of_the_seeds() -> None:
    results = make_results(seeds=3)
    figure = fpr_spro_curves(results, "tank_screw")
    here = [r for r in results if r.category == "tank_screw"]
    for axes in (0, 1):
        seeds = drawn(figure, "seed", axes=axes)
        assert len(seeds) == len(here)
        for line, result in zip(seeds, here, strict=True):
            np.testing.assert_array_equal(line, np.transpose([result.figures.curve.fpr, result.figures.curve.spro]))
        means = drawn(figure, "mean", axes=axes)
        assert len(means) == len(METHODS)
        for method, line in zip(METHODS, means, strict=True):
            of_method = [r.figures.curve.spro for r in here if r.method == method]  # all have the same rates
            np.testing.assert_allclose(line[:, 1], np.mean(of_method, axis=0))
    assert figure.axes[0].get_xlim() == (0, 0.3)
    assert figure.axes[1].get_xscale() == "log"
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    expected = value_of(here, "federated_iid", "tank_screw", "auc_spro@0.05")
    assert labels[2] == f"federated iid ({expected:.3f})"


def test_a_single_curve_keeps_its_jumps() -> None:
    result = make_result("federated", "screw", 0)
    stairs = Curve(fpr=(0.0, 0.1, 0.1, 1.0), spro=(0.0, 0.0, 0.8, 1.0))
    figure = fpr_spro_curves([replace(result, figures=replace(result.figures, curve=stairs))], "screw")
    np.testing.assert_array_equal(drawn(figure, "mean")[0], [[0, 0], [0.1, 0], [0.1, 0.8], [1, 1]])


def test_histograms_count_every_image_and_mark_every_threshold() -> None:
    result = make_result("federated", "screw", 1)
    figure = score_histograms(result)
    heights = [sum(bar.get_height() for bar in axes.patches) for axes in figure.axes]
    assert heights == [50, 60, 40]
    assert [axes.get_title(loc="left") for axes in figure.axes][2] == "defective, test (40)"
    thresholds = [point.threshold for point in result.figures.operating_points]
    for axes in figure.axes:
        assert [line.get_xdata()[0] for line in axes.get_lines()] == thresholds
    assert "passes 99 %" in words_of(figure)


def test_operating_points_of_one_threshold_are_one_line() -> None:
    result = make_result("federated", "screw", 1)
    first, second, third = result.figures.operating_points
    points = (first, replace(second, threshold=first.threshold, tpr=first.tpr), third)
    figure = score_histograms(replace(result, figures=replace(result.figures, operating_points=points)))
    for axes in figure.axes:
        assert [line.get_xdata()[0] for line in axes.get_lines()] == [first.threshold, third.threshold]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert [label.partition(": ")[2].partition(",")[0] for label in legend] == ["passes 99 or 95 %", "passes 90 %"]


def test_histograms_without_validation_say_so() -> None:
    result = make_result("federated", "screw", 1)
    bare = replace(result, figures=replace(result.figures, validation_scores=(), operating_points=()))
    figure = score_histograms(bare)
    assert len(figure.axes) == 2
    assert "No thresholds" in words_of(figure)
