"""``anomalib-federated compare``, called as a user calls it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from anomalib_federated.cli.main import main
from anomalib_federated.evaluation.comparison.compare import compare, headline
from anomalib_federated.evaluation.results import read_results, write_result
from tests.evaluation.made_results import made_result

CATEGORIES = ("engine_wiring", "pipe_clip", "pipe_staple", "tank_screw", "underbody_pipes", "underbody_screw")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three methods on six categories; the federated ones lose a little more each time."""
    for at, category in enumerate(CATEGORIES):
        for rank, method in enumerate(("centralised", "federated_iid", "federated_category")):
            value = 0.6 + 0.05 * at - 0.01 * rank * (1 + at % 2)
            write_result(tmp_path / "run", made_result(method, category, value, auroc=value, interval=0.03))
    return tmp_path / "run"


@pytest.mark.parametrize("width", [80, 120])
def test_all_is_told_and_fits_on_the_terminal(
    folder: Path, width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    assert main(["compare", str(folder)]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    words = " ".join(text.split())
    results = read_results(folder)
    comparisons = [compare(results, figure=figure) for figure in ("auc_spro@0.05", "image_auroc")]
    assert headline(comparisons) in words
    for comparison in comparisons:
        assert all(" ".join(method.sentences) in words for method in comparison.methods)
    rows = [line.split() for line in text.splitlines()]
    assert ["centralised", "0.725", "0.600", "0.650"] in [row[:4] for row in rows]
    for category in CATEGORIES:
        assert category in words


def test_tables_are_written_for_the_figures_and_the_baseline_asked_for(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "tables"
    arguments = ["--baseline", "federated_iid", "--figures", "auc_spro@0.01", "--output", str(output)]
    assert main(["compare", str(folder), *arguments]) == 0
    told = json.loads((output / "comparison.json").read_text())
    assert [(item["figure"], item["baseline"]) for item in told] == [("auc_spro@0.01", "federated_iid")]
    assert set(pd.read_csv(output / "comparison.csv")["figure"]) == {"auc_spro@0.01"}
    assert all((output / f"comparison.{kind}").stat().st_size for kind in ("md", "tex"))
    assert str(output / "comparison.md") in capsys.readouterr().err


def test_folders_are_read_together(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for category in CATEGORIES:
        write_result(tmp_path / "other", made_result("private", category, 0.5))
    assert main(["compare", str(folder), str(tmp_path / "other"), "--figures", "auc_spro@0.05"]) == 0
    assert "private loses" in " ".join(capsys.readouterr().out.split())


def test_what_cannot_be_compared_is_said_in_a_sentence(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*arguments: str) -> str:
        assert main(["compare", *arguments]) == 1
        captured = capsys.readouterr()
        assert captured.out == ""
        return captured.err

    assert "choose one of centralised, federated_category" in refused(str(folder), "--baseline", "pooled")
    assert "choose one of image_auroc" in refused(str(folder), "--figures", "auroc")
    assert "give each once (do the folders overlap?)" in refused(str(folder), str(folder))
    assert "evaluate a model first" in refused(str(tmp_path / "nothing"))


def test_it_starts_without_the_training_stack() -> None:
    heavy = "{'torch', 'anomalib', 'flwr', 'lightning', 'matplotlib', 'sklearn'}"
    code = f"import sys, anomalib_federated.cli.compare; print({heavy} & sys.modules.keys())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
