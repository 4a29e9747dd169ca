"""Sites, gaps and prices show the numbers of the results."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.collections import LineCollection

from anomalib_federated.evaluation.plots import (
    RelativeGap,
    gap,
    site_category_distribution,
    site_contributions,
    trade_off,
)
from anomalib_federated.evaluation.results import SiteShare
from tests.evaluation.plot_examples import (
    CATEGORIES,
    METHODS,
    drawn,
    make_result,
    make_results,
    tick_labels,
    value_of,
    words_of,
)


def test_the_distribution_shows_counts_and_sums() -> None:
    figure = site_category_distribution({"a": {"pipe": 3, "tank": 4}, "b": {"tank": 5}})
    assert tick_labels(figure) == ["a (7)", "b (5)"]
    assert tick_labels(figure, "x") == ["pipe (3)", "tank (9)"]
    assert [text.get_text() for text in figure.axes[0].texts] == ["3", "4", "0", "5"]


def test_contributions_are_percent_of_all_patches_and_rows() -> None:
    result = make_result("federated", "screw", 0)
    shares = (
        SiteShare(site="a", images=1, patches=30, rows=8, bytes_up=0, bytes_down=0),
        SiteShare(site="b", images=3, patches=90, rows=2, bytes_up=0, bytes_down=0),
    )
    given = replace(result, bank=replace(result.bank, sites=shares))
    figure = site_contributions([given, make_result("federated", "pipe", 0, bank=False)], "federated")
    patches, rows = (line.get_xdata() for line in figure.axes[0].get_lines())
    np.testing.assert_allclose(patches, [25, 75])
    np.testing.assert_allclose(rows, [80, 20])
    assert "left out: 1" in words_of(figure)


def test_the_trade_off_puts_price_against_mean() -> None:
    results = make_results(seeds=2)
    figure = trade_off(results, "auc_spro@0.05", against="bytes sent")
    points = [points[0] for points in drawn(figure, "method")]
    for method, (price, mean) in zip(METHODS, points, strict=True):
        assert price == next(r.bank.bytes_sent for r in results if r.method == method)
        assert mean == pytest.approx(np.mean([value_of(results, method, c, "auc_spro@0.05") for c in CATEGORIES]))
    assert figure.axes[0].get_xscale() == "symlog"  # there is a 0 among prices far apart


def test_a_method_without_epsilon_is_left_out_and_named() -> None:
    figure = trade_off(make_results(), "auc_spro@0.05", against="epsilon")
    assert len(drawn(figure, "method")) == 2
    assert "Left out, having no epsilon: centralised." in words_of(figure)


def test_the_trade_off_averages_all_methods_over_the_same_categories() -> None:
    results = [r for r in make_results(seeds=1) if (r.method, r.category) != ("federated", "tank_screw")]
    figure = trade_off(results, "auc_spro@0.05")
    means = [points[0, 1] for points in drawn(figure, "method")]
    assert means == pytest.approx([value_of(results, m, "engine_wiring", "auc_spro@0.05") for m in METHODS])
    assert "because a method lacks them: tank screw" in words_of(figure)


def test_gaps_are_drawn_in_percent_around_zero() -> None:
    gaps = [
        RelativeGap(method="federated", category="pipe", gap=-0.05, low=-0.08, high=-0.01),
        RelativeGap(method="federated", category="tank", gap=None),
        RelativeGap(method="federated_iid", category="pipe", gap=0.02),
    ]
    figure = gap(gaps, words="AUC-sPRO@0.05")
    assert sorted(points[0, 0] for points in drawn(figure, "gap")) == pytest.approx([-5, 2])
    intervals = [c.get_segments()[0][:, 0] for c in figure.axes[0].collections if isinstance(c, LineCollection)]
    np.testing.assert_allclose(intervals, [[-8, -1]])
    assert "no value" in words_of(figure)
    assert "not run" in words_of(figure)
    low, high = figure.axes[0].get_xlim()
    assert low < -8 < 2 < high
