"""Results with every part made up, all plots of them, and what one sees on a plot."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from matplotlib.figure import Figure
from matplotlib.text import Text

from anomalib_federated.evaluation.comparison.beside import AttackSuccess, Beside
from anomalib_federated.evaluation.comparison.trade_off import trade_off as gathered
from anomalib_federated.evaluation.figures import (
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
    GroupValue,
    RelativeGap,
    box_plot,
    fpr_spro_curves,
    gap,
    group_dots,
    grouped_bars,
    heat_map,
    price_panels,
    score_histograms,
    site_category_distribution,
    site_contributions,
    trade_off,
)
from anomalib_federated.evaluation.results import BankFacts, Result, SiteShare
from anomalib_federated.testing.privacy import example_report
from tests.evaluation.trade_off_examples import fairness_of

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
        SiteShare(
            site=name,
            images=n // 100,
            patches=n,
            rows=row,
            bytes_up=10 ** (3 + len(method) % 5) * 304,
            bytes_down=10**6,
        )
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
            sites=() if pooled else tuple(sites),
            privacy=() if pooled else (json.loads(example_report(epsilon=float(len(method) % 7 + 1)).to_json()),),
        )
        if bank
        else None,
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


def make_group_values(methods: Sequence[str], groups: Sequence[str]) -> list[GroupValue]:
    rng = np.random.default_rng(4)
    values = []
    for method, group in itertools.product(methods, groups):
        middle = float(rng.uniform(0.5, 1))
        ends = Interval(low=middle - 0.2, high=min(1.0, middle + 0.1))
        values.append(GroupValue(method=method, group=group, value=middle, interval=ends))
    return [replace(values[0], value=None, interval=None), *values[1:]] if len(values) > 2 else values


def beside_of(methods: Sequence[str], categories: Sequence[str]) -> Beside:
    """A worst group and an attack on each method, but the last."""
    places = list(itertools.product(methods[:-1] or methods, categories))
    return Beside(
        groups=tuple(
            fairness_of(m, c, {"a": 0.9, "b": 0.1 * (1 + number % 7)}) for number, (m, c) in enumerate(places)
        ),
        attacks=tuple(
            AttackSuccess(method=m, category=c, attack="flooding", success=0.1 * (len(m) % 9)) for m, c in places
        ),
    )


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
        "prices": lambda: price_panels(gathered(results, beside_of(methods, categories))),
        "gap": lambda: gap(
            make_gaps(methods, categories), words="AUC-sPRO@0.05", intervals="Lines are 95 % intervals."
        ),
        "groups": lambda: group_dots(
            make_group_values(methods, categories), words="AUC-sPRO@0.05", by="site", intervals="Lines are intervals."
        ),
    }


NAMES = tuple(all_plots(("federated",), ("c",), 1))


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


def luminance(color: Sequence[float]) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def contrast(one: Sequence[float], other: Sequence[float]) -> float:
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)
