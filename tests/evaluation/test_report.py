from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from statistics import fmean, stdev

import pytest
from report_example import REFUSED, make_example

from anomalib_federated.cli.report import run
from anomalib_federated.evaluation.figures import (
    Classification,
    Counts,
    Figures,
    Group,
    Interval,
    Localization,
    OperatingPoint,
)
from anomalib_federated.evaluation.gallery.gallery import GALLERY, GalleryError, read_gallery
from anomalib_federated.evaluation.report import write_report
from anomalib_federated.evaluation.report.charts import relative_gaps
from anomalib_federated.evaluation.report.details import bank_tables, group_rows, point_rows, settings_table
from anomalib_federated.evaluation.report.numbers import cells_of, figure_tables
from anomalib_federated.evaluation.results import (
    BankFacts,
    Result,
    SiteShare,
    read_results,
    result_folder,
    write_result,
)
from anomalib_federated.testing.privacy import example_report

METHODS = ("centralised", "federated")


class Page(HTMLParser):
    """All that the tests ask of a page: elements with their attributes, texts, tables."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.text = ""
        self._in_style = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._in_style = tag in {"style", "script"}
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"} and self.rows:
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self._in_style = False
        if tag == "table":
            self.rows.append([])

    def handle_data(self, data: str) -> None:
        if self._in_style:
            return
        self.text += data
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data.strip()

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def result(
    method: str, category: str, value: float | None, *, seed: int = 0, points: Sequence[OperatingPoint] = ()
) -> Result:
    return Result(
        method=method,
        category=category,
        seed=seed,
        figures=Figures(
            counts=Counts(good=4, defective=6, channels=7),
            classification=Classification(auroc=value),
            localization=Localization(auc_spro=None if value is None else {"0.05": value}),
            intervals={} if value is None else {"image_auroc": Interval(low=value - 0.1, high=value + 0.01)},
            operating_points=tuple(points),
        ),
    )


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_example(
        tmp_path_factory.mktemp("example"), categories=("pipe_staple",), methods=METHODS, images=2, resamples=0
    )


@pytest.fixture(scope="module")
def html(example: Path) -> str:
    return write_report(read_results(example), example, example / "report.html").read_text()


def render(results: Sequence[Result], folder: Path, **options: str) -> Page:
    return Page(write_report(results, folder, folder / "report.html", **options).read_text())


def test_the_page_says_what_is_promised_about_the_pictures(html: str) -> None:
    text = " ".join(re.sub(r"<[^>]+>", " ", html).split())
    assert "centralised : nothing is promised about the pictures" in text
    assert "per picture, epsilon 2, delta 1e-05" in text
    assert "A part photographed six times is six pictures" in text


def test_the_page_refers_to_nothing_outside(html: str) -> None:
    page = Page(html)
    ids = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    for tag, attributes in page.elements:
        for name in ("href", "src", "xlink:href", "action", "data", "srcset"):
            target = attributes.get(name)
            assert target is None or target.startswith("data:") or target[1:] in ids, (tag, name, target)
    assert not re.search(r"url\((?!#)", html)
    assert "@import" not in html
    assert {found for found in re.findall(r"https?://[^\"' )]+", html) if "www.w3.org" not in found} == set()
    (policy,) = [own for own in page.all("meta") if own.get("http-equiv") == "Content-Security-Policy"]
    assert str(policy["content"]).startswith("default-src 'none'; img-src data:;")


def test_the_page_can_be_read_by_everybody(html: str) -> None:
    page = Page(html)
    assert page.all("html") == [{"lang": "en"}]
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(below <= above + 1 for above, below in pairwise(levels))
    assert [
        name for name, count in Counter(own["id"] for _, own in page.elements if "id" in own).items() if count > 1
    ] == []
    pictures = [own for own in page.all("svg") if own.get("aria-hidden") != "true"]
    assert len(pictures) > 10
    assert all(own.get("role") == "img" and own.get("aria-label") for own in pictures)
    assert all(own.get("aria-label") for _, own in page.elements if own.get("role") == "region")


def test_the_sections_come_in_order(html: str) -> None:
    titles = re.findall(r"<h[12]>(.*?)</h[12]>", html)
    assert titles == [
        "What did federation cost us?",
        "Results",
        "Statistics in words",
        "Charts",
        "Accuracy and its price",
        "By kind of defect",
        "Operating points",
        "Fairness",
        "Gallery",
        "Sites and banks",
        "Settings and versions",
        "How every number was measured",
    ]
    answer = re.search(r'<p class="answer">(.*?)</p>', html)
    assert answer is not None
    assert re.search(r"federated (loses|gains) .* of AUC-sPRO@0\.05", answer[1])


def test_tables_show_means_and_spreads_of_seeds(example: Path, html: str) -> None:
    for name in ("image_auroc", "auc_spro@0.05", "pixel_auroc"):
        for method in METHODS:
            values = [own.figures.headline(name) for own in read_results(example) if own.method == method]
            known = [value for value in values if value is not None]
            assert len(known) == 2
            shown = f"{fmean(known):.3f}"
            rows = [row for row in Page(html).rows if row[:1] == [method] and len(row) == 3]
            cells = [row[1].replace("(best)", "") for row in rows]
            assert f"{shown}± {stdev(known):.3f}" in cells


def test_the_best_of_a_column_is_marked_and_ties_are_too() -> None:
    results = [
        result("a", "nut", 0.90049),
        result("b", "nut", 0.89951),  # the same as a at three decimals
        result("c", "nut", 0.899),
        result("a", "bolt", None),
        result("b", "bolt", 0.2),
    ]
    table = next(own for own in figure_tables(results, baseline="a", first="image_auroc"))
    shown = {method: [(cell.value, cell.best) for cell in cells] for method, cells in table.rows}
    assert shown == {  # bolt, nut, mean
        "a": [("not defined", False), ("0.900", True), ("incomplete", False)],
        "b": [("0.200", False), ("0.900", True), ("0.550", False)],
        "c": [("not run", False), ("0.899", False), ("incomplete", False)],
    }
    assert table.rows[0][1][1].spread == "[0.800, 0.910]"
    assert table.rows[0][1][0].spread == ""


def test_figures_that_are_nowhere_defined_have_no_table() -> None:
    names = [table.name for table in figure_tables([result("a", "nut", 0.5)], baseline="a", first="image_auroc")]
    assert names == ["image_auroc", "auc_spro@0.05"]


def test_the_gallery_shows_the_first_seed_and_stores_each_picture_once(example: Path, html: str) -> None:
    expected = Counter(
        (method, entry.entry.name, entry.entry.verdict)
        for method in METHODS
        for entry in read_gallery(result_folder(example / "seed_0", method, "pipe_staple") / GALLERY)
        if entry.entry.rank < {"missed": 6, "false_alarm": 6, "found": 2, "passed": 2}[entry.entry.verdict]
    )
    page = Page(html)
    cards = [own for own in page.all("li") if own.get("class") == "card"]
    assert len(cards) == sum(expected.values()) > 0
    stored = [own["href"] for own in page.all("image") if str(own.get("id", "")).startswith("p")]
    assert len(stored) == len(set(stored))
    photos = {name for _, name, _ in expected}
    assert len([name for name in photos if name in page.text]) == len(photos)


def test_refused_rows_are_told_below_the_sites_with_the_reason(html: str) -> None:
    page = Page(html)
    for each in REFUSED:
        counts = f"{each.rows:,} of {each.of:,}"
        assert [each.site, each.category, each.screening, counts, each.reason] in page.rows
    (row,) = [row for row in page.rows if row[:1] == ["plant_east"] and len(row) == 9]
    assert row[1:4] == ["refused", "refused", "0"]  # no images are known of a site that was refused altogether
    assert "not told" not in row


def test_a_damaged_gallery_is_named(tmp_path: Path) -> None:
    output = make_example(
        tmp_path, categories=("pipe_staple",), methods=("centralised",), seeds=(0,), images=1, resamples=0
    )
    next(output.glob("**/*_image.webp")).unlink()
    with pytest.raises(GalleryError, match=r"_image\.webp .* is missing"):
        write_report(read_results(output), output, tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_a_gallery_without_results_is_passed_over(tmp_path: Path) -> None:
    write_result(tmp_path, result("centralised", "nut", 0.5))
    (result_folder(tmp_path, "cut_off", "nut") / GALLERY).mkdir(parents=True)
    assert "There are no pictures beside these results" in render(read_results(tmp_path), tmp_path).text


def test_same_results_same_bytes_in_any_order(example: Path, html: str) -> None:
    results = read_results(example)[::-1]
    assert write_report(results, example, example / "again.html").read_text() == html


def test_names_and_settings_cannot_break_the_page(tmp_path: Path) -> None:
    evil = '</script><img src="x" onerror="alert(1)"> & $x_1$'
    results = [
        replace(result(method, evil, value), settings={evil: {"a": evil}}, versions={evil: evil})
        for method, value in (("centralised", 0.5), (evil, 0.25))
    ]
    page = render(results, tmp_path)
    assert page.all("img") == []
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert page.text.count(evil) > 10


def test_a_report_of_little_says_what_is_missing(tmp_path: Path) -> None:
    page = render([result("maps", "nut", 0.75)], tmp_path, baseline="maps", figure="image_auroc")
    for words in (
        "No method can be compared with maps by image AUROC.",
        "No result tells of parts.",
        "No result tells of operating points",
        "There are no pictures beside these results",
        "No result tells of a memory bank",
        "No result tells of settings.",
    ):
        assert words in page.text
    assert page.all("script") == []
    assert 'href="#statistics"' not in str(page.elements)


def test_figures_that_are_not_defined_are_no_zero(tmp_path: Path) -> None:
    page = render([result("centralised", "nut", None), result("federated", "nut", None)], tmp_path)
    assert "0.000" not in page.text


@pytest.mark.parametrize(
    ("results", "options", "words"),
    [
        ([], {}, "There are no results to report"),
        ([result("a", "nut", 0.5)], {}, "No result is of the baseline 'centralised'; choose one of a"),
        ([result("a", "nut", 0.5)], {"figure": "auc"}, "no figure named 'auc'; choose one of image_auroc"),
    ],
)
def test_what_cannot_be_reported_is_refused(
    results: list[Result], options: dict[str, str], words: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=words):
        write_report(results, tmp_path, tmp_path / "report.html", **options)
    assert list(tmp_path.iterdir()) == []


def test_operating_points_tell_where_validation_images_are_too_few() -> None:
    def point(tnr: float, images: int, tpr: float | None) -> OperatingPoint:
        return OperatingPoint(tnr=tnr, threshold=1.0, tpr=tpr, test_tnr=0.875, validation_images=images)

    results = [
        result("a", "nut", 0.5, points=[point(0.95, 19, 0.5), point(0.99, 98, None)]),
        result("a", "nut", 0.5, seed=1, points=[point(0.95, 30, 0.75), point(0.99, 98, 0.5)]),
    ]
    ((method, rows),) = point_rows(cells_of(results), ["a"], "nut")
    assert method == "a"
    assert [(row.wished, row.tpr, row.test_tnr, row.validation_images, row.coarse) for row in rows] == [
        ("99 %", "not defined", "87.5 %", "98", True),  # the next alarms with a chance of 1 / 99, which is above 1 %
        ("95 %", "62.5 %", "87.5 %", "19 to 30", False),  # 1 / 20
    ]


def test_groups_are_averaged_over_seeds() -> None:
    def grouped(method: str, seed: int, spro: float | None) -> Result:
        group = Group(
            kind="folder",
            name="bent",
            images=3,
            channels=3,
            classification=Classification(auroc=0.5),
            auc_spro=None if spro is None else {"0.05": spro},
        )
        own = result(method, "nut", 0.5, seed=seed)
        return replace(own, figures=replace(own.figures, groups=(group,)))

    cells = cells_of([grouped("a", 0, 0.25), grouped("a", 1, 0.5), grouped("b", 0, None)])
    (row,) = group_rows(cells, ["a", "b", "c"], "nut")
    assert (row.kind, row.name, row.images) == ("folder", "bent", 3)
    assert row.figures == (("0.375", "0.500"), ("not defined", "0.500"), ("not defined", "not defined"))


def test_sites_are_summed_over_categories() -> None:
    def with_bank(category: str, *shares: SiteShare, radius: float | None = 0.5) -> Result:
        bank = BankFacts(rows=40, bytes=1_000_000, covering_radius=radius, sites=shares)
        return replace(result("federated", category, 0.5), bank=bank)

    north, south = (
        SiteShare(site=site, images=2, patches=30, rows=10, bytes_up=250_000, bytes_down=1_000_000)
        for site in ("north", "south")
    )
    small = SiteShare(site="south", images=1, patches=20, rows=20, bytes_up=500_000, bytes_down=1_000_000)
    (table,) = bank_tables(cells_of([with_bank("nut", north, south), with_bank("bolt", small)]), ["federated", "maps"])
    assert (table.rows, table.megabytes, table.covering_radius) == (80, 2.0, "0.500")
    assert (table.megabytes_sent, table.megabytes_received) == (1.0, 3.0)
    assert [(row.megabytes_up, row.megabytes_down) for row in table.sites] == [(0.25, 1.0), (0.75, 2.0)]
    assert [(row.site, row.images, row.patches, row.rows) for row in table.sites] == [
        ("north", 2, 30, 10),
        ("south", 3, 50, 30),
    ]
    # north: 10/40 of the rows, 30/80 of the patches, ratio 2/3; south: (30/40) / (50/80) = 1.2.
    assert table.fairness == "Per patch, south has the most rows (1.20 of its share) and north the fewest (0.67)."
    (even,) = bank_tables(cells_of([with_bank("nut", north, south, radius=None)]), ["federated"])
    assert even.fairness == "Every site has the share of the rows that it has of the patches."
    assert even.covering_radius == ""


def test_promises_are_told_once_in_words() -> None:
    promise = json.loads(example_report(epsilon=2.0).to_json())
    banks = [
        BankFacts(rows=1, bytes=4, covering_radius=None, sites=(), privacy=(promise, promise)),
        BankFacts(rows=1, bytes=4, covering_radius=None, sites=(), privacy=(promise,)),
    ]
    results = [
        replace(result("private", name, 0.5), bank=bank) for name, bank in zip(("nut", "bolt"), banks, strict=True)
    ]
    (table,) = bank_tables(cells_of(results), ["private"])
    assert [promise.epsilon for promise in table.promises] == [2.0]


def test_settings_in_which_methods_differ_are_marked() -> None:
    results = [
        replace(result(method, "nut", 0.5), settings={"size": 256, "coreset": {"name": coreset, "budget": 0.1}})
        for method, coreset in (("a", "random"), ("b", "k_center"))
    ]
    assert settings_table(results, ["a", "b"]) == [
        ("size", ("256", "256"), False),
        ("coreset.name", ("random", "k_center"), True),
        ("coreset.budget", ("0.1", "0.1"), False),
    ]


def test_gaps_need_a_value_of_both() -> None:
    values = {
        ("centralised", "nut"): {0: 0.5},
        ("federated", "nut"): {0: 0.25, 1: 0.5},
        ("federated", "bolt"): {0: 0.25},
    }
    gaps = relative_gaps(values, baseline="centralised")
    assert [(own.category, own.gap, own.low) for own in gaps] == [("nut", -0.5, None), ("bolt", None, None)]


def test_the_command_writes_beside_the_results_and_says_where(
    example: Path, html: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("report", [str(example)]) == 0
    path = example / "report.html"
    assert capsys.readouterr().out == f"{path} ({path.stat().st_size / 1e6:.1f} MB), to open in a browser\n"
    assert path.read_text() == html


def test_the_command_takes_a_file_a_baseline_and_a_figure(tmp_path: Path) -> None:
    for method, value in (("mine", 0.5), ("yours", 0.25)):
        write_result(tmp_path, result(method, "nut", value))
    path = tmp_path / "reports" / "auroc.html"
    options = ["--output", str(path), "--figure", "image_auroc", "--baseline", "yours"]
    assert run("report", [str(tmp_path), *options]) == 0
    assert re.search(r'<p class="answer">.*mine gains 100.0 % .*image AUROC|image AUROC.*mine gains', path.read_text())
    with pytest.raises(SystemExit):
        run("report", [str(tmp_path), "--figure", "no_such_figure"])
