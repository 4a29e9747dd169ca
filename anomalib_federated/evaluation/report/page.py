"""The report: everything about one experiment in a single HTML file that needs no network."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from anomalib_federated import __version__
from anomalib_federated.deploy.heat import COLOURS, STOPS
from anomalib_federated.evaluation.comparison.beside import read_beside
from anomalib_federated.evaluation.comparison.compare import compare, headline
from anomalib_federated.evaluation.comparison.score_rules import different_rules
from anomalib_federated.evaluation.comparison.trade_off import trade_off
from anomalib_federated.evaluation.faithfulness.faithfulness_file import read_all_faithfulness
from anomalib_federated.evaluation.faithfulness.texts import COLUMNS, HOW_TO_READ
from anomalib_federated.evaluation.figures import HEADLINES
from anomalib_federated.evaluation.report.charts import chart_groups, site_charts
from anomalib_federated.evaluation.report.details import (
    LIMIT,
    bank_tables,
    group_rows,
    point_rows,
    settings_table,
    versions_table,
)
from anomalib_federated.evaluation.report.explanations import explanation_cards, faithfulness_tables
from anomalib_federated.evaluation.report.fairness import across_rows, division_views, what_lines_are
from anomalib_federated.evaluation.report.numbers import cells_of, figure_tables
from anomalib_federated.evaluation.report.pictures import VERDICT_WORDS, gallery_cards
from anomalib_federated.evaluation.report.prices import corruption_tables, price_section
from anomalib_federated.evaluation.report.words import HOW_MEASURED, spread_words
from anomalib_federated.evaluation.results import Result
from anomalib_federated.files import write_file

_PACKAGE = "anomalib_federated.evaluation.report"


def write_report(
    results: Sequence[Result],
    folder: Path,
    path: Path,
    *,
    baseline: str = "centralised",
    figure: str = "auc_spro@0.05",
) -> Path:
    """Write the report; it appears only when it is complete.

    Args:
        results: Of one experiment: several methods, categories and seeds.
        folder: Where they were read from; galleries and figures of groups and of explanations below it are shown.
        path: HTML file to write.
        baseline: Method that the others are compared to.
        figure: Name of :data:`HEADLINES` that the headline is about.

    Raises:
        ValueError: If there are no results, or figure or baseline are unknown.
        ExplanationError: If an explanation is damaged.
        GalleryError: If a gallery is damaged.
        ResultError: If a file of figures of groups or of explanations is.

    Returns:
        The file.
    """
    if not results:
        msg = "There are no results to report; evaluate a model first."
        raise ValueError(msg)
    if figure not in HEADLINES:
        msg = f"There is no figure named {figure!r}; choose one of {', '.join(HEADLINES)}."
        raise ValueError(msg)
    ordered = sorted(results, key=lambda result: (result.method, result.category, result.seed))
    environment = Environment(
        loader=PackageLoader(_PACKAGE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    page = environment.get_template("report.html.jinja").render(_content(ordered, folder, baseline, figure))
    return write_file(path, page.encode())


def _content(results: Sequence[Result], folder: Path, baseline: str, figure: str) -> dict[str, Any]:
    cells = cells_of(results)
    methods = sorted({result.method for result in results}, key=lambda name: (name != baseline, name))
    categories = sorted({result.category for result in results})
    points = [(category, point_rows(cells, methods, category)) for category in categories]
    cards, pictures = gallery_cards(folder, cells, methods)
    explained, private = explanation_cards(folder)
    tables = figure_tables(results, baseline=baseline, first=figure)
    others = [compare(results, figure=table.name, baseline=baseline) for table in tables if table.name != figure]
    comparisons = [compare(results, figure=figure, baseline=baseline), *others]
    cells_there = {(result.method, result.category, result.seed) for result in results}
    beside = read_beside([folder])
    measured = [own for own in beside.groups if (own.method, own.category, own.seed) in cells_there]
    trade = trade_off(results, beside, baseline=baseline)
    return {
        "css": _text("report.css"),
        "js": _text("report.js"),
        "version": __version__,
        "count": len(results),
        "answer": headline(comparisons[:1]),
        "different_rules": different_rules(results),
        "methods": methods,
        "categories": categories,
        "seeds": sorted({result.seed for result in results}),
        "counts": _image_counts(results, categories),
        "baseline": baseline,
        "figure": figure,
        "limit": LIMIT,
        "tables": tables,
        "spread_words": spread_words(results),
        "comparisons": comparisons if len(methods) > 1 else [],
        "charts": chart_groups(results, cells, categories, baseline=baseline, figure=figure),
        "prices": price_section(trade) if trade.prices and len(methods) > 1 else None,
        "corrupted": corruption_tables(results, beside.corrupted),
        "groups": [(category, group_rows(cells, methods, category)) for category in categories],
        "points": points,
        "coarse": any(row.coarse for _, rows in points for _, own in rows for row in own),
        "divisions": division_views(measured, methods, categories, figure=figure),
        "group_words": what_lines_are(measured).replace("Lines are", "In brackets:").replace("lines", "brackets"),
        "across": across_rows(results, methods),
        "explanations": faithfulness_tables(read_all_faithfulness(folder)),
        "explanation_columns": COLUMNS,
        "explanation_words": HOW_TO_READ,
        "explanation_cards": explained,
        "private_explanations": private,
        "cards": cards,
        "pictures": pictures,
        "verdicts": VERDICT_WORDS,
        "ramp": ", ".join(
            f"rgb({red} {green} {blue}) {stop:.0%}" for stop, (red, green, blue) in zip(STOPS, COLOURS, strict=True)
        ),
        "banks": bank_tables(cells, methods),
        "site_charts": site_charts(results, methods),
        "settings": settings_table(results, methods),
        "versions": versions_table(results),
        "how": HOW_MEASURED,
    }


def _text(name: str) -> str:
    return files(_PACKAGE).joinpath("templates", name).read_text(encoding="utf-8")


def _image_counts(results: Sequence[Result], categories: Sequence[str]) -> tuple[int, int]:
    """Good and defective test images of all categories; methods and seeds are measured on the same ones."""
    largest = [
        max(
            (result.figures.counts for result in results if result.category == category),
            key=lambda counts: counts.good + counts.defective,
        )
        for category in categories
    ]
    return sum(counts.good for counts in largest), sum(counts.defective for counts in largest)
