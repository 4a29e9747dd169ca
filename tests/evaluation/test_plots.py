"""Nothing on any plot is cut off or covered, and what cannot be drawn is refused in words."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure

from anomalib_federated.evaluation.comparison.beside import Beside
from anomalib_federated.evaluation.comparison.trade_off import trade_off as gathered
from anomalib_federated.evaluation.figures import HEADLINES, Classification
from anomalib_federated.evaluation.plots import (
    RelativeGap,
    box_plot,
    fpr_spro_curves,
    gap,
    grouped_bars,
    heat_map,
    price_panels,
    save,
    site_category_distribution,
    site_contributions,
    trade_off,
)
from anomalib_federated.evaluation.plots.style import TEXT_POINTS
from tests.evaluation.plot_examples import (
    LONG_CATEGORIES,
    LONG_METHODS,
    NAMES,
    all_plots,
    make_result,
    make_results,
    texts_of,
    with_gaps_in_it,
    without_value,
    words_of,
)

SIZES = {
    "small": (("centralised",), ("screw",), 1),
    "large": (LONG_METHODS, LONG_CATEGORIES, 1),
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_cut_off_too_small_or_covered(size: str, name: str) -> None:
    figure = all_plots(*SIZES[size])[name]()
    texts = texts_of(figure)
    inside = figure.bbox.padded(1.0)
    for text in texts:
        box = text.get_window_extent()
        assert inside.containsx(box.x0), text.get_text()
        assert inside.containsx(box.x1), text.get_text()
        assert inside.containsy(box.y0), text.get_text()
        assert inside.containsy(box.y1), text.get_text()
        assert text.get_fontsize() >= TEXT_POINTS, text.get_text()
    level = [text for text in texts if not text.get_rotation() % 90]
    boxes = np.array([text.get_window_extent().padded(-1).extents for text in level])
    low, high = boxes[:, None, :2], boxes[None, :, 2:]
    over = np.triu((low < high).all(axis=2) & (low < high).all(axis=2).T, k=1)
    for one, other in np.argwhere(over):
        pytest.fail(f"{level[one].get_text()!r} lies on {level[other].get_text()!r}")
    for axes, legend in itertools.product(figure.axes, figure.legends):
        assert not legend.get_window_extent().overlaps(axes.get_window_extent()), "the legend covers data"


@pytest.mark.parametrize("figure", HEADLINES)
def test_every_headline_can_be_drawn(figure: str) -> None:
    assert HEADLINES[figure] in words_of(heat_map(make_results(seeds=1), figure))


def test_a_figure_that_only_these_results_have_can_be_drawn() -> None:
    assert "AUC-sPRO@0.3" in words_of(grouped_bars(make_results(seeds=1), "auc_spro@0.3"))


def test_missing_values_leave_a_gap_and_a_word() -> None:
    results = with_gaps_in_it()
    bars = grouped_bars(results, "auc_spro@0.05")
    assert sum(len(container) for container in bars.axes[0].containers) == 4
    heat = heat_map(results, "auc_spro@0.05")
    mesh = next(c for c in heat.axes[0].collections if isinstance(c, QuadMesh))
    assert np.ma.count_masked(mesh.get_array()) == 2
    for figure in (bars, heat):
        words = words_of(figure)
        assert words.count("not run") == 1
        assert words.count("no value") == 1
        assert "0.000" not in words
    assert "No curve: federated iid" in words_of(fpr_spro_curves(results, "engine_wiring"))
    nothing = [without_value(r) if r.method == "federated" else r for r in results]
    assert "no value" in words_of(box_plot(nothing, "image_auroc"))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: grouped_bars([], "image_auroc"), "no results; evaluate"),
        (lambda: grouped_bars(2 * [make_result("a", "b", 0)], "image_auroc"), "two results of a on b with seed 0"),
        (lambda: fpr_spro_curves([], "screw"), "those with one: none"),
        (lambda: heat_map(make_results(), "auroc"), "choose one of image_auroc"),
        (lambda: box_plot([without_value(make_result("a", "b", 0))], "image_auroc"), "No result has a value"),
        (lambda: fpr_spro_curves(make_results(), "screw"), "those with one: engine_wiring, tank_screw"),
        (lambda: trade_off(make_results(), "image_auroc", against="price"), "choose one of bank rows"),
        (lambda: trade_off([make_result("a", "b", 0, bank=False)], "image_auroc"), "choose another price"),
        (lambda: price_panels(gathered([make_result("a", "b", 0, bank=False)], Beside())), "no trade-off to draw"),
        (lambda: site_contributions(make_results(), "centralised"), "those that do: federated, federated_iid"),
        (lambda: site_category_distribution({}), "partition a data set first"),
        (lambda: site_category_distribution({"a": {"pipe": -1}}), "Site 'a' has -1 images of 'pipe'"),
        (lambda: gap([], words="AUROC"), "no gap to draw"),
        (lambda: gap([RelativeGap(method="a", category="b", gap=0.1, low=0.0)], words="AUROC"), "half an interval"),
        (lambda: gap([RelativeGap(method="a", category="b", gap=float("nan"))], words="AUROC"), "not finite"),
        (lambda: save(Figure(), Path("plot.gif")), "saved as .png, .pdf or .svg"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_words(call: Callable[[], object], words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        call()


def test_a_value_that_is_not_finite_is_refused() -> None:
    result = make_result("a", "b", 3)
    broken = replace(result, figures=replace(result.figures, classification=Classification(auroc=float("nan"))))
    with pytest.raises(ValueError, match="image_auroc of a on b with seed 3 is nan"):
        heat_map([broken], "image_auroc")
