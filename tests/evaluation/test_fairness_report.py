"""What the report shows of groups: values, worst ones, gaps, words, a plot."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from anomalib_federated.evaluation.fairness.across import across_categories
from anomalib_federated.evaluation.fairness.fairness_file import write_fairness
from anomalib_federated.evaluation.figures import Interval, OperatingPoint
from anomalib_federated.evaluation.plots import GroupValue, group_dots
from anomalib_federated.evaluation.report import write_report
from anomalib_federated.evaluation.report.fairness import across_rows, division_views
from anomalib_federated.evaluation.results import ResultError, write_result
from tests.evaluation.made_results import made_result
from tests.evaluation.plot_examples import drawn, words_of
from tests.evaluation.test_fairness_file import made_fairness


def test_worst_groups_are_marked_and_gaps_stand_below() -> None:
    (view,) = division_views([made_fairness(0.5, 0.75, None)], ["mine"], ["screw"], figure="auc_spro@0.05")
    assert (view.title, view.columns, view.of_no_group) == ("screw by group", ("image AUROC",), 1)
    ((method, lines, gaps),) = view.rows
    assert method == "mine"
    assert [(line.name, line.counts, line.cells[0].value, line.cells[0].worst) for line in lines] == [
        ("a", (3, 4, 0), "0.500", True),
        ("b", (3, 4, 0), "0.750", False),
        ("c", (3, 4, 0), "not defined", False),
    ]
    assert [cell.value for cell in gaps] == ["0.250"]
    ((_, told),) = view.told
    assert "worst in a (0.500)" in told[0]
    assert "left out: c" in told[0]
    assert view.chart.caption == "screw: image AUROC by group"  # the headline's figure is defined nowhere


def test_equal_groups_have_no_worst_one() -> None:
    (view,) = division_views([made_fairness(0.5, 0.5)], ["mine"], ["screw"], figure="image_auroc")
    assert not any(cell.worst for _, lines, _ in view.rows for line in lines for cell in line.cells)


def test_one_group_says_that_there_is_nothing_to_compare() -> None:
    (view,) = division_views([made_fairness(0.5)], ["mine"], ["screw"], figure="image_auroc")
    assert view.told == (("mine", ("There is nothing to compare: no figure is defined in two groups (of 1).",)),)
    (view,) = division_views([made_fairness(None, None)], ["mine"], ["screw"], figure="image_auroc")
    assert view.chart is None
    assert view.columns == ()


def test_methods_stand_in_the_order_asked_for_and_those_without_groups_are_passed_over() -> None:
    measured = [made_fairness(0.5, 0.6, method=name) for name in ("b", "a")]
    (view,) = division_views(measured, ["b", "a", "none"], ["nut", "screw"], figure="image_auroc")
    assert [method for method, _, _ in view.rows] == ["b", "a"]


def test_categories_are_groups_too() -> None:
    results = [
        made_result("mine", "nut", 0.4, auroc=0.9),
        made_result("mine", "nut", 0.6, seed=1, auroc=0.8),
        made_result("mine", "screw", 0.9, auroc=None),
        made_result("mine", "bolt", None, auroc=0.7),
        made_result("other", "nut", 0.1),
    ]
    found = across_categories(results, "mine")
    assert set(found) == {"image_auroc", "auc_spro@0.01", "auc_spro@0.05"}
    spro, auroc = found["auc_spro@0.05"], found["image_auroc"]
    assert (spro.worst, spro.worst_value, spro.left_out) == ("nut", pytest.approx(0.5), ("bolt",))
    assert (auroc.best, auroc.best_value, auroc.left_out) == ("nut", pytest.approx(0.85), ("screw",))
    assert across_categories(results, "other") == {}
    tables = dict(across_rows(results, ["mine", "other"]))
    assert set(tables) == {"image AUROC", "AUC-sPRO@0.05"}
    (row,) = tables["AUC-sPRO@0.05"]
    assert (row.method, row.worst, row.best, row.gap, row.ratio) == (
        "mine",
        "nut 0.500",
        "screw 0.900",
        "0.400",
        "1.800",
    )


def test_false_alarms_of_categories_come_from_their_operating_points() -> None:
    def with_point(category: str, passed: float | None) -> object:
        own = made_result("mine", category, 0.5)
        point = OperatingPoint(tnr=0.95, threshold=1.0, tpr=0.5, test_tnr=passed, validation_images=20)
        return replace(own, figures=replace(own.figures, operating_points=(point,)))

    found = across_categories([with_point("nut", 0.75), with_point("screw", 1.0), with_point("bolt", None)], "mine")
    assert found["fpr@tnr0.95"].worst == "nut"
    assert found["fpr@tnr0.95"].gap == 0.25
    assert found["fpr@tnr0.95"].left_out == ("bolt",)
    assert found["tpr@tnr0.95"].gap == 0


def test_the_plot_shows_each_value_with_its_interval_and_says_what_is_missing() -> None:
    values = [
        GroupValue(method="a", group="dark", value=0.5, interval=Interval(low=0.25, high=0.75)),
        GroupValue(method="b", group="dark", value=None),
        GroupValue(method="a", group="light", value=0.75),
    ]
    figure = group_dots(values, words="AUROC", by="group", intervals="Lines are intervals.")
    assert sorted(float(line[0, 0]) for line in drawn(figure, "values")) == [0.5, 0.75]
    words = words_of(figure)
    assert "not defined" in words
    assert "not run" in words
    assert "Lines are intervals." in words
    for broken, problem in ((float("nan"), "in dark is nan"), (None, "No group has a value")):
        with pytest.raises(ValueError, match=problem):
            group_dots([replace(values[1], value=broken)], words="AUROC", by="group")


def test_names_of_groups_cannot_break_the_page(tmp_path: Path) -> None:
    evil = '</script><img src="x" onerror="alert(1)"> & $x_1$'
    fairness = made_fairness(0.5, 0.75, method="centralised")
    (division,) = fairness.divisions
    first, second = division.groups
    indices = {name: replace(own, worst=evil) for name, own in division.indices.items()}
    changed = replace(division, groups=(replace(first, name=evil), second), indices=indices)
    write_result(tmp_path, made_result("centralised", "screw", 0.5))
    write_fairness(tmp_path, replace(fairness, divisions=(changed,)))
    page = write_report([made_result("centralised", "screw", 0.5)], tmp_path, tmp_path / "report.html").read_text()
    assert "<img" not in page
    assert page.count("&lt;img src=&#34;x&#34;") >= 2


def test_files_of_other_runs_are_passed_over_and_broken_ones_are_named(tmp_path: Path) -> None:
    results = [made_result("centralised", "screw", 0.5)]
    write_fairness(tmp_path, made_fairness(0.5, 0.75, method="another"))
    assert 'id="fairness"' not in write_report(results, tmp_path, tmp_path / "report.html").read_text()
    path = write_fairness(tmp_path, made_fairness(0.5, 0.75, method="centralised"))
    assert 'id="fairness"' in write_report(results, tmp_path, tmp_path / "report.html").read_text()
    path.write_text("[]")
    with pytest.raises(ResultError, match=r"fairness\.json"):
        write_report(results, tmp_path, tmp_path / "report.html")
