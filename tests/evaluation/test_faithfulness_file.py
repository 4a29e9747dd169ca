"""From the measures of single pictures to a file, its texts, and what is wrong with other files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from anomalib_federated.cli.faithfulness_table import print_faithfulness
from anomalib_federated.evaluation.faithfulness.faithfulness_file import (
    read_all_faithfulness,
    read_faithfulness,
    write_faithfulness,
)
from anomalib_federated.evaluation.faithfulness.figures import Figure
from anomalib_federated.evaluation.faithfulness.summary import mean_figure, method_faithfulness
from anomalib_federated.evaluation.faithfulness.texts import cells_of, notes_of
from anomalib_federated.evaluation.results import ResultError
from anomalib_federated.explanations.faithfulness.measure import Refusal
from tests.evaluation.made_faithfulness import made_faithfulness, made_picture


def test_a_mean_is_of_the_pictures_that_define_it() -> None:
    assert mean_figure([0.25, None, 0.75]) == Figure(mean=0.5, pictures=2)
    assert mean_figure([None, None]) is None
    assert mean_figure([]) is None
    found = method_faithfulness("a", [made_picture(None), made_picture(0.5, masked=False), Refusal(reason="no")])
    assert (found.explained, found.refusals, found.seconds) == (2, ("no",), 0.5)
    assert found.deletion == Figure(mean=0.5, pictures=1)
    assert found.pointing == Figure(mean=1.0, pictures=1)


def test_the_interval_is_about_that_of_the_normal_distribution() -> None:
    values = np.random.default_rng(0).normal(0.5, 0.1, 200)
    found = mean_figure(values.tolist(), resamples=4000)
    half = 1.96 * values.std() / 200**0.5
    assert found.interval.low == pytest.approx(values.mean() - half, abs=0.002)
    assert found.interval.high == pytest.approx(values.mean() + half, abs=0.002)
    assert mean_figure([0.1] * 4, resamples=100).interval is None  # too few
    same = mean_figure([0.25] * 5, resamples=100)
    assert (same.interval.low, same.interval.high) == (0.25, 0.25)
    assert mean_figure(values.tolist(), resamples=50, seed=3) == mean_figure(values.tolist(), resamples=50, seed=3)


def test_a_check_fails_where_explanations_stay_whatever_their_sign() -> None:
    good = method_faithfulness("a", [made_picture(), made_picture()])
    assert good.passed
    stays = method_faithfulness("b", [made_picture(bank=0.9), made_picture(bank=-0.9)])
    assert not stays.bank.passed
    assert stays.bank.correlation.mean == pytest.approx(0.9)
    assert stays.backbone.passed
    assert not stays.passed
    nothing = method_faithfulness("c", [Refusal(reason="no")])
    assert (nothing.bank, nothing.deletion, nothing.seconds, nothing.passed) == (None, None, None, False)


def test_the_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    result = made_faithfulness({"a": [made_picture()] * 6, "b": [Refusal(reason="too many")] * 6}, resamples=50)
    path = write_faithfulness(tmp_path / "seed_0", result)
    assert path == tmp_path / "seed_0" / "interpretability" / "screw" / "faithfulness.json"
    assert read_faithfulness(path) == result
    other = made_faithfulness(category="nut")
    write_faithfulness(tmp_path, other)
    assert read_all_faithfulness(tmp_path) == [other, result]
    assert read_all_faithfulness(tmp_path / "none") == []


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"bar": "high"}, "bar"),
        ({"more": 1}, "more"),
        ({"pictures": []}, "pictures"),
        ({"methods": [{}]}, "explainer"),
    ],
)
def test_files_that_are_none_of_ours_are_named(tmp_path: Path, changes: dict[str, object], problem: str) -> None:
    path = write_faithfulness(tmp_path, made_faithfulness())
    path.write_text(json.dumps(json.loads(path.read_bytes()) | changes))
    with pytest.raises(ResultError, match=rf"faithfulness\.json of this package: .*{problem}.*measure again"):
        read_faithfulness(path)
    path.write_text(path.read_text().replace("0.5", "NaN")[:-9])
    with pytest.raises(ResultError, match="measure again"):
        read_faithfulness(path)


def test_texts_say_what_is_missing_and_why() -> None:
    result = made_faithfulness(
        {"a": [made_picture(None, bank=0.8), Refusal(reason="Too many patches.")]}, references=(3.5, 2.5)
    )
    (method,) = result.methods
    cells = cells_of(method)
    assert [cell.value for cell in cells] == [
        "not defined", "not defined", "1.00", "0.50", "0.80", "0.20", "0.5",
    ]  # fmt: skip
    assert [cell.failed for cell in cells] == [False] * 4 + [True, False, False]
    notes = " ".join(notes_of(result))
    assert "2 defective test pictures, drawn by seed 0." in notes
    assert "Pictures above the threshold: 2; references that are not: 0." in notes
    assert "defined for the 1 that lose some of their score" in notes
    assert "a could not explain 1: Too many patches." in notes
    assert "above the threshold" not in " ".join(notes_of(replace(result, threshold=None)))


def test_the_terminal_shows_a_line_per_method(capsys: pytest.CaptureFixture[str]) -> None:
    edges = [made_picture(bank=1)]
    print_faithfulness(made_faithfulness({"over[lay]": [made_picture()] * 5, "edges": edges}, resamples=20))
    told = capsys.readouterr().out
    assert "over[lay]" in told
    assert "1.00" in told
    assert "fails" in told
    assert "0.25-0.25" in told
