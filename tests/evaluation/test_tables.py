"""Tables: numbers in full precision, text as people read it, and files that other programs understand."""

from __future__ import annotations

import json
import re
from math import isnan
from pathlib import Path

import pandas as pd
import pytest

from anomalib_federated.evaluation.comparison.compare import compare
from anomalib_federated.evaluation.comparison.table_files import escape_latex, latex, markdown, write_tables
from anomalib_federated.evaluation.comparison.tables import (
    INCOMPLETE,
    MEAN,
    NOT_DEFINED,
    NOT_RUN,
    best_cells,
    figure_means,
    figure_table,
    statistics_frame,
    statistics_table,
    values_frame,
)
from tests.evaluation.made_results import made_result, made_results

FIGURE = "auc_spro@0.05"
TABLE = {
    "a_first": {"clip": (0.7, 0.8), "nut": 0.6, "wire": None},
    "centralised": {"clip": (0.80041, 0.80041), "nut": 0.5, "wire": None},
    "partial": {"clip": 0.80039},
}
RESULTS = made_results(TABLE)


def test_means_are_over_seeds_then_over_categories_that_are_defined() -> None:
    means = figure_means(RESULTS, FIGURE)
    assert list(means.index) == ["centralised", "a_first", "partial"]
    assert list(means.columns) == ["clip", "nut", "wire", MEAN]
    assert means.loc["a_first", "clip"] == pytest.approx(0.75)
    assert means.loc["a_first", MEAN] == pytest.approx((0.75 + 0.6) / 2)
    assert isnan(means.loc["a_first", "wire"])
    assert isnan(means.loc["partial", MEAN])


def test_text_tells_spread_interval_and_what_is_missing() -> None:
    results = [*RESULTS, made_result("alone", "nut", 0.81, interval=0.0305)]
    table = figure_table(results, FIGURE, baseline="partial")
    assert list(table.index) == ["partial", "a_first", "alone", "centralised"]
    # Seeds 0.7 and 0.8: standard deviation sqrt(2 * 0.05**2) = 0.071.
    assert table.loc["a_first", "clip"] == "0.750 ± 0.071"
    assert table.loc["alone", "nut"] == "0.810 [0.780, 0.841]"
    assert table.loc["a_first", "nut"] == "0.600"
    assert table.loc["a_first", "wire"] == NOT_DEFINED
    assert table.loc["partial", "nut"] == NOT_RUN
    assert table.loc["partial", MEAN] == INCOMPLETE


def test_the_best_are_those_that_show_the_highest_number() -> None:
    best = best_cells(figure_means(RESULTS, FIGURE))
    # 0.80041 and 0.80039 show the same.
    assert best["clip"].to_dict() == {"centralised": True, "a_first": False, "partial": True}
    assert best["nut"].to_dict() == {"centralised": False, "a_first": True, "partial": False}
    assert not best["wire"].any()
    assert not best_cells(figure_means(made_results({"only": {"nut": 0.5}}), FIGURE)).to_numpy().any()


def test_frames_hold_every_value_as_it_is() -> None:
    value = 0.1 + 0.2
    frame = values_frame([made_result("m", "nut", value, seed=3, interval=0.01)])
    row = frame.set_index("figure").loc[FIGURE].to_dict()
    ends = {"low": value - 0.01, "high": value + 0.01}
    assert row == {"method": "m", "category": "nut", "seed": 3, "value": value, **ends}
    assert sorted(frame["figure"]) == ["auc_spro@0.01", FIGURE, "image_auroc"]  # and nothing that is not defined


def test_statistics_as_numbers_and_as_text() -> None:
    results = made_results({
        "centralised": {"clip": 0.8, "nut": 0.7, "pipe": 0.6},
        "federated": {"clip": 0.7, "nut": 0.65, "pipe": 0.45},
        "none": {"wire": 0.5},
    })  # fmt: skip
    comparison = compare(results)
    frame = statistics_frame([comparison]).set_index("method")
    assert frame.loc["federated", "difference"] == comparison.methods[0].difference.value
    assert frame.loc["federated", "t_test_p_holm"] == comparison.methods[0].t_test_holm
    assert frame.loc["federated", "cohens_d_low"] == comparison.methods[0].effect.low
    assert isnan(frame.loc["none", "difference"])
    table = statistics_table(comparison)
    assert table.loc["federated"].to_dict() == {
        "pairs": "3",
        "difference": "-0.100 [-0.224, +0.024]",
        "relative": "-14.3 %",
        "t-test p": "0.0742",
        "Wilcoxon p": "0.25",
        "d": "-2.000 [-4.105, +0.142]",
        "detectable": "0.16",
    }
    assert set(table.loc["none"]) == {"0", "-"}


def test_markdown_marks_the_best_and_keeps_cells_apart() -> None:
    table = pd.DataFrame({"a|b": ["0.9 [0.8, 1.0]", "0.7"]}, index=pd.Index(["x", "y*"], name="method"))
    best = pd.DataFrame({"a|b": [True, False]}, index=table.index)
    assert markdown(table, best=best).split("\n") == [
        r"| method | a\|b |",
        "| :-- | --: |",
        "| x | **0.9** [0.8, 1.0] |",
        r"| y\* | 0.7 |",
    ]


def test_latex_is_escaped_and_uses_booktabs() -> None:
    table = pd.DataFrame(
        {"tank_screw": ["-0.9 ± 0.1", "0.7"]}, index=pd.Index(["a_b", "50% & $x^2~\\#{}"], name="method")
    )
    best = pd.DataFrame({"tank_screw": [True, False]}, index=table.index)
    text = latex(table, caption="p < 0.001", label="one", best=best)
    assert r"\caption{p $<$ 0.001}" in text
    assert r"method & tank\_screw \\" in text
    assert r"a\_b & \textbf{$-$0.9} $\pm$ 0.1 \\" in text
    assert r"50\% \& \$x\textasciicircum{}2\textasciitilde{}\textbackslash{}\#\{\} & 0.7 \\" in text
    rules = [rule for rule in ("toprule", "midrule", "bottomrule") if f"\\{rule}" in text]
    assert len(rules) == 3
    assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}")
    assert escape_latex("seed-1 of t-test, 1e-05") == "seed-1 of t-test, 1e-05"  # no minus signs


def test_all_files_are_written_and_read_back(tmp_path: Path) -> None:
    results = [*RESULTS, made_result("other", "nut", 0.1 + 0.2)]
    comparisons = [compare(results), compare(results, figure="auc_spro@0.01")]
    paths = {path.name: path for path in write_tables(tmp_path / "new", results, comparisons)}
    assert sorted(paths) == sorted(path.name for path in (tmp_path / "new").iterdir())
    wide = pd.read_csv(paths["comparison.csv"]).set_index(["figure", "method"])
    assert wide.loc[(FIGURE, "other"), "nut"] == 0.1 + 0.2
    assert wide.loc[("auc_spro@0.01", "other"), "nut"] == (0.1 + 0.2) / 2
    assert list(pd.read_csv(paths["statistics.csv"])["method"]) == ["a_first", "other", "partial"] * 2
    assert len(pd.read_csv(paths["values.csv"])) == len(values_frame(results))
    told = json.loads(paths["comparison.json"].read_text())
    assert [item["figure"] for item in told] == [FIGURE, "auc_spro@0.01"]
    assert told[0]["methods"][0]["sentences"] == list(comparisons[0].methods[0].sentences)
    assert told[0]["methods"][0]["difference"]["value"] == comparisons[0].methods[0].difference.value
    text = paths["comparison.md"].read_text()
    assert all(" ".join(method.sentences) in text for comparison in comparisons for method in comparison.methods)
    assert "| centralised | **0.800** ± 0.000 | 0.500 |" in text
    assert len(set(re.findall(r"\\label{(.*?)}", paths["comparison.tex"].read_text()))) == 4


def test_a_baseline_alone_is_written_too(tmp_path: Path) -> None:
    results = made_results({"centralised": {"nut": 0.5}})
    write_tables(tmp_path, results, [compare(results)])
    assert pd.read_csv(tmp_path / "statistics.csv").empty
    assert "| centralised | 0.500 | 0.500 |" in (tmp_path / "comparison.md").read_text()
