"""The plots show the numbers of the results, nothing is cut off or covered, and the SVG is fit for a page."""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from matplotlib.collections import LineCollection, QuadMesh
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

from anomalib_federated.evaluation.figures import (
    HEADLINES,
    Classification,
    Counts,
    Curve,
    Figures,
    ImageFigures,
    Interval,
    Localization,
    OperatingPoint,
)
from anomalib_federated.evaluation.plots import (
    RelativeGap,
    box_plot,
    fpr_spro_curves,
    gap,
    grouped_bars,
    heat_map,
    save,
    score_histograms,
    site_category_distribution,
    site_contributions,
    to_svg,
    trade_off,
)
from anomalib_federated.evaluation.plots.style import FOREGROUND, HATCHES, PALETTE, TEXT_POINTS, looks
from anomalib_federated.evaluation.results import BankFacts, Result, SiteShare

METHODS = ("centralised", "federated", "federated_iid")
LONG_METHODS = (
    "centralised",
    *(f"federated_{name}" for name in ("category_sites", "iid", "with_noise_epsilon_8", "concatenated_banks")),
    *("single_site_on_its_own", "random_coreset", "fair_budgets_by_lighting"),
)
CATEGORIES = ("engine_wiring", "tank_screw")
LONG_CATEGORIES = (
    *("engine_wiring", "pipe_clip", "pipe_staple", "tank_screw", "underbody_pipes", "underbody_screw"),
    *("magnetic_tile", "screw", "a_very_long_category_name_from_some_plant", "bolt", "weld_seam_left", "gasket"),
)
SITES = ("north", "south", "night_shift")


def make_result(method: str, category: str, seed: int, *, level: float = 0.6, bank: bool = True) -> Result:
    """A made-up result with all parts, every number drawn from the arguments."""
    rng = np.random.default_rng([seed, *map(ord, method), 0, *map(ord, category)])
    easiness = np.random.default_rng([*map(ord, category)]).uniform(0, 0.25)
    spro = float(np.clip(level + easiness - 0.06 * (len(method) % 4) + rng.normal(0, 0.02), 0, 0.98))
    good, bad, normal = (
        rng.gamma(40, 0.25, 60),
        rng.gamma(40, 0.25, 40) + rng.uniform(0, 8, 40),
        rng.gamma(40, 0.25, 50),
    )
    images = [ImageFigures(name=f"test/good/{i:04}.png", defect_type="good", score=s) for i, s in enumerate(good)]
    images += [ImageFigures(name=f"test/scratch/{i:04}.png", defect_type="scratch", score=s) for i, s in enumerate(bad)]
    points = [
        OperatingPoint(
            tnr=tnr,
            threshold=(at := float(np.quantile(normal, tnr, method="higher"))),
            tpr=float(np.mean(bad > at)),
            test_tnr=float(np.mean(good <= at)),
            validation_images=len(normal),
        )
        for tnr in (0.99, 0.95, 0.9)
    ]
    fpr = np.concatenate([[0.0], np.logspace(-5, 0, 150)])
    auroc = float(np.mean(bad[:, None] > good[None]))
    values = {"image_auroc": auroc, "average_precision": 0.99 * auroc, "auc_spro@0.05": spro, "pixel_auroc": 0.95}
    values["tpr@tnr0.95"] = float(points[1].tpr or 0)
    rows = [int(share) for share in rng.multinomial(1500, np.array([5, 3, 2]) / 10)]
    sites = [
        SiteShare(site=name, images=n // 100, patches=n, rows=row)
        for name, n, row in zip(SITES, (51200, 25600, 25600), rows, strict=True)
    ]
    pooled = method == "centralised"
    return Result(
        method=method,
        category=category,
        seed=seed,
        figures=Figures(
            counts=Counts(good=60, defective=40, channels=40),
            classification=Classification(auroc=auroc, average_precision=0.99 * auroc),
            localization=Localization(
                auc_spro={"0.01": spro / 2, "0.05": spro, "0.1": spro, "0.3": spro, "1.0": spro}, pixel_auroc=0.95
            ),
            operating_points=tuple(points),
            intervals={name: Interval(low=v - 0.03, high=min(1.0, v + 0.02)) for name, v in values.items()},
            resamples=1000,
            curve=Curve(fpr=tuple(fpr), spro=tuple(1 - np.exp(-((fpr / 0.05) ** 0.6) * 2 * spro))),
            images=tuple(images),
            validation_scores=tuple(normal),
        ),
        bank=BankFacts(
            rows=1500 * (1 + len(method) % 5),
            bytes=1500 * 608,
            covering_radius=1.25,
            bytes_sent=0 if pooled else 10 ** (3 + len(method) % 5) * 912,
            sites=() if pooled else tuple(sites),
        )
        if bank
        else None,
        settings={} if pooled else {"epsilon": float(len(method) % 7 + 1)},
    )


def make_results(
    methods: Sequence[str] = METHODS, categories: Sequence[str] = CATEGORIES, seeds: int = 3
) -> list[Result]:
    return [make_result(m, c, seed) for m, c, seed in itertools.product(methods, categories, range(seeds))]


def without_value(result: Result) -> Result:
    """The same with no defective image, as if only good ones had been tested."""
    figures = replace(
        result.figures,
        classification=Classification(),
        localization=Localization(),
        operating_points=(),
        intervals={},
        curve=None,
    )
    return replace(result, figures=figures)


def with_gaps_in_it() -> list[Result]:
    """Two cells are not there, one has no value."""
    some = [r for r in make_results(seeds=1) if (r.method, r.category) != ("federated", "tank_screw")]
    return [without_value(r) if r.method == "federated_iid" and r.category == "engine_wiring" else r for r in some]


def make_gaps(methods: Sequence[str], categories: Sequence[str]) -> list[RelativeGap]:
    rng = np.random.default_rng(3)
    gaps = []
    for method, category in itertools.product(methods[1:] or ["federated"], categories):
        middle = float(rng.normal(-0.01, 0.01))
        gaps.append(RelativeGap(method=method, category=category, gap=middle, low=middle - 0.02, high=middle + 0.01))
    return gaps


def all_plots(methods: Sequence[str], categories: Sequence[str], seeds: int) -> dict[str, Callable[[], Figure]]:
    results = make_results(methods, categories, seeds)
    counts = {f"site_{i}": {c: (7 * i + 13 * k) % 120 for k, c in enumerate(categories)} for i in range(len(methods))}
    priced = "bytes sent" if len(methods) > 1 else "bank rows"
    return {
        "curves": lambda: fpr_spro_curves(results, categories[0]),
        "bars": lambda: grouped_bars(results, "auc_spro@0.05"),
        "heat": lambda: heat_map(results, "image_auroc"),
        "boxes": lambda: box_plot(results, "auc_spro@0.05"),
        "histograms": lambda: score_histograms(results[0]),
        "distribution": lambda: site_category_distribution(counts),
        "contributions": lambda: site_contributions(make_results(("federated",), categories, seeds), "federated"),
        "trade_off": lambda: trade_off(results, "auc_spro@0.05", against=priced),
        "gap": lambda: gap(
            make_gaps(methods, categories), words="AUC-sPRO@0.05", intervals="Lines are 95 % intervals."
        ),
    }


SIZES = {
    "small": (("centralised",), ("screw",), 1),
    "large": (LONG_METHODS, LONG_CATEGORIES, 1),
}
NAMES = tuple(all_plots(("federated",), ("c",), 1))


def parse(svg: str) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314  # our own text, not from elsewhere


def texts_of(figure: Figure) -> list[Text]:
    """All texts that are seen, after drawing."""
    figure.draw_without_rendering()
    axis = [axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)]
    unseen = {label for one in axis for label in one.get_ticklabels(which="both")}
    unseen -= {tick.label1 for one in axis for tick in one._update_ticks()}  # ticks outside the limits are not drawn
    found = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    return [text for text in found if text not in unseen]


def words_of(figure: Figure) -> str:
    return " ".join(text.get_text() for text in texts_of(figure)).replace("\n", " ")


def tick_labels(figure: Figure, axis: str = "y") -> list[str]:
    axes = figure.axes[0]
    labels = axes.get_yticklabels() if axis == "y" else axes.get_xticklabels()
    return [label.get_text() for label in labels]


def drawn(figure: Figure, label: str, *, axes: int = 0) -> list[np.ndarray]:
    """Coordinates of the lines with this label, each of shape ``(points, 2)``."""
    return [line.get_xydata() for line in figure.axes[axes].get_lines() if line.get_label() == label]


def value_of(results: Sequence[Result], method: str, category: str, figure: str) -> float:
    return float(np.mean([r.figures.headline(figure) for r in results if (r.method, r.category) == (method, category)]))


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


@pytest.mark.parametrize("name", NAMES)
def test_the_svg_is_fit_for_a_page_and_always_the_same(name: str) -> None:
    make = all_plots(("centralised", "federated"), ("screw",), 1)[name]
    svg = to_svg(make())
    root = parse(svg)
    assert root.attrib["role"] == "img"
    assert len(root.attrib["aria-label"]) > 20
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert not tags & {"script", "style", "metadata", "image", "foreignObject", "a"}
    assert "text" in tags, "text must stay text"
    for element in root.iter():
        for key, value in element.attrib.items():
            assert not key.startswith("on")
            assert not re.search(r"(?:https?:|data:|file:|//)", value), (key, value)
    defined = {element.attrib["id"] for element in root.iter() if "id" in element.attrib}
    named = set(re.findall(r'(?:href="#|url\(#)([^")]+)', svg))
    assert named
    assert named <= defined
    assert FOREGROUND not in svg
    assert "currentColor" in svg
    assert all(color in svg.upper() for color in (PALETTE[:1] if name in {"curves", "bars"} else ()))
    assert not re.search(r'"#[0-9a-fA-F]{6}[^";]', svg), "a colour was taken for an identifier"


def test_the_same_plot_is_the_same_svg_and_another_shares_no_identifier_with_it() -> None:
    results = make_results(METHODS[:2], seeds=1)
    svgs = [to_svg(fpr_spro_curves(results, category)) for category in ("tank_screw", "tank_screw", "engine_wiring")]
    assert svgs[0] == svgs[1]
    ids = [set(re.findall(r'\sid="([^"]+)"', svg)) for svg in svgs]
    assert ids[0]
    assert not ids[0] & ids[2]


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


def test_histograms_without_validation_say_so() -> None:
    result = make_result("federated", "screw", 1)
    bare = replace(result, figures=replace(result.figures, validation_scores=(), operating_points=()))
    figure = score_histograms(bare)
    assert len(figure.axes) == 2
    assert "No thresholds" in words_of(figure)


def test_the_distribution_shows_counts_and_sums() -> None:
    figure = site_category_distribution({"a": {"pipe": 3, "tank": 4}, "b": {"tank": 5}})
    assert tick_labels(figure) == ["a (7)", "b (5)"]
    assert tick_labels(figure, "x") == ["pipe (3)", "tank (9)"]
    assert [text.get_text() for text in figure.axes[0].texts] == ["3", "4", "0", "5"]


def test_contributions_are_percent_of_all_patches_and_rows() -> None:
    result = make_result("federated", "screw", 0)
    shares = (
        SiteShare(site="a", images=1, patches=30, rows=8),
        SiteShare(site="b", images=3, patches=90, rows=2),
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


def test_a_method_looks_the_same_in_every_plot_and_unlike_the_others() -> None:
    assert looks(["centralised"])["centralised"] == looks(LONG_METHODS)["centralised"]
    assert looks(["federated"])["federated"].color != PALETTE[0], "the baseline's colour is kept for it"
    many = looks([f"method_{i}" for i in range(20)])
    assert len({(look.color, look.marker) for look in many.values()}) == 20
    assert len({(look.color, look.hatch) for look in many.values()}) == 20
    eight = looks(LONG_METHODS).values()
    assert len({look.color for look in eight}) == len({look.hatch for look in eight}) == 8
    assert len(set(HATCHES)) == len(HATCHES)


def luminance(color: Sequence[float]) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def contrast(one: Sequence[float], other: Sequence[float]) -> float:
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def test_neighbours_in_the_palette_differ_in_gray_and_all_without_green_cones() -> None:
    """Deuteranopia by the matrix of Machado, Oliveira and Fernandes (2009), on linear light."""
    matrix = np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]])
    colors = [to_rgb(color) for color in PALETTE]
    for one, other in itertools.pairwise(colors):
        assert contrast(one, other) > 1.3
    linear = np.array([[c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb] for rgb in colors])
    seen = np.clip(linear @ matrix.T, 0, 1) ** (1 / 2.4)
    for one, other in itertools.combinations(seen, 2):
        assert np.linalg.norm(one - other) > 0.1
    for color in colors:
        assert contrast(color, (1, 1, 1)) > 2.2
        assert contrast(color, to_rgb("#14181d")) > 3


@pytest.mark.parametrize("ending", ["png", "pdf", "svg"])
def test_saving_gives_the_same_bytes_twice(ending: str, tmp_path: Path) -> None:
    files = [
        save(site_category_distribution({"a": {"pipe": 3}}), tmp_path / f"{name}.{ending}") for name in ("one", "two")
    ]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert files[0].read_bytes()[:4] in {b"\x89PNG", b"%PDF", b"<?xm"}
    assert sorted(tmp_path.iterdir()) == sorted(files)


def test_plots_can_be_made_in_threads() -> None:
    expected = to_svg(grouped_bars(make_results(seeds=1), "image_auroc"))
    made: list[str] = []
    threads = [
        threading.Thread(target=lambda: made.append(to_svg(grouped_bars(make_results(seeds=1), "image_auroc"))))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [expected] * 3


def test_names_cannot_become_mathematics_or_markup() -> None:
    result = make_result("a$b$ <script>", "c&d", 0)
    svg = to_svg(fpr_spro_curves([result], "c&d"))
    assert any("a$b$ <script>" in (element.text or "") for element in parse(svg).iter())
    words = words_of(score_histograms(result))
    assert "a$b$ <script> on c&d, seed 0." in words.replace("\\$", "$")
    assert "\\\\" not in words
    assert "<script" not in svg


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: grouped_bars([], "image_auroc"), "no results to draw"),
        (lambda: fpr_spro_curves([], "screw"), "no results to draw"),
        (lambda: heat_map(make_results(), "auroc"), "choose one of image_auroc"),
        (lambda: box_plot([without_value(make_result("a", "b", 0))], "image_auroc"), "No result has a value"),
        (lambda: fpr_spro_curves(make_results(), "screw"), "those with one: engine_wiring, tank_screw"),
        (lambda: trade_off(make_results(), "image_auroc", against="price"), "choose one of bank rows"),
        (lambda: trade_off([make_result("a", "b", 0, bank=False)], "image_auroc"), "choose another price"),
        (
            lambda: trade_off(
                [replace(make_result("a", "b", 0), settings={"epsilon": "8"})], "image_auroc", against="epsilon"
            ),
            "settings.epsilon of a on b is '8'",
        ),
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
    with pytest.raises(ValueError, match="image AUROC of a, b, seed 3 is nan"):
        heat_map([broken], "image_auroc")


@pytest.mark.parametrize("figure", HEADLINES)
def test_every_headline_can_be_drawn(figure: str) -> None:
    assert HEADLINES[figure] in words_of(heat_map(make_results(seeds=1), figure))
