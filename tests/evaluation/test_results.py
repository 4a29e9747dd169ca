"""metrics.json: whole, in the official layout, refused when it is not ours."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from anomalib_federated.evaluation.figures import (
    HEADLINES,
    Classification,
    Counts,
    Curve,
    Figures,
    Group,
    ImageFigures,
    Interval,
    Localization,
    OperatingPoint,
)
from anomalib_federated.evaluation.results import (
    BankFacts,
    Result,
    ResultError,
    SiteShare,
    read_result,
    read_results,
    write_result,
)
from anomalib_federated.testing.privacy import example_report

SPRO = {"0.01": 0.1, "0.05": 0.3, "0.1": 0.4, "0.3": 0.6, "1.0": 0.8}
POINT = OperatingPoint(tnr=0.95, threshold=1.25, tpr=0.5, test_tnr=1.0, validation_images=20)
RESULT = Result(
    method="federated",
    category="screw",
    seed=3,
    figures=Figures(
        counts=Counts(good=1, defective=2, channels=3),
        classification=Classification(auroc=0.75, average_precision=None),
        localization=Localization(auc_spro=SPRO, pixel_auroc=0.9, pixel_average_precision=0.2),
        operating_points=(POINT,),
        groups=(Group(kind="folder", name="scratch", images=2, channels=3, classification=Classification()),),
        intervals={"image_auroc": Interval(low=0.5, high=1.0)},
        resamples=10,
        curve=Curve(fpr=(0.0, 1.0), spro=(0.25, 1.0)),
        images=(ImageFigures(name="test/good/1.png", defect_type="good", score=0.1),),
        validation_scores=(0.1, 1.25),
    ),
    bank=BankFacts(
        rows=7, bytes=70, covering_radius=None,
        sites=(SiteShare(site="a", images=1, patches=9, rows=7, bytes_up=9, bytes_down=4),),
        privacy=(json.loads(example_report(epsilon=2.0).to_json()),),
    ),
    settings={"budget": 7},
    versions={"python": "3.11"},
)  # fmt: skip


def test_a_result_is_written_in_the_official_layout_and_read_back(tmp_path: Path) -> None:
    path = write_result(tmp_path, RESULT)
    assert path == tmp_path / "metrics" / "federated" / "screw" / "metrics.json"
    assert json.loads(path.read_text())["localization"]["auc_spro"]["0.05"] == 0.3
    assert read_result(path) == RESULT
    assert RESULT.figures.images[0].good


def test_headlines_find_their_figures() -> None:
    found = {name: RESULT.figures.headline(name) for name in HEADLINES}
    assert found == {
        "image_auroc": 0.75, "average_precision": None, "auc_spro@0.05": 0.3, "pixel_auroc": 0.9, "tpr@tnr0.95": 0.5,
    }  # fmt: skip
    with pytest.raises(KeyError):
        RESULT.figures.headline("f1")


def test_all_results_below_a_folder_are_found_in_order(tmp_path: Path) -> None:
    seeds = [replace(RESULT, seed=seed) for seed in (1, 0)]
    for result in seeds:
        write_result(tmp_path / f"seed_{result.seed}", result)
    assert read_results(tmp_path) == seeds[::-1]
    write_result(tmp_path / "copy", seeds[0])
    with pytest.raises(ResultError, match="what another file below"):
        read_results(tmp_path)


def test_no_result_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match="evaluate a model first"):
        read_results(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('"seed": 3', '"seed": "three"', "seed"),
        ('"seed": 3', '"sed": 3', "seed"),
        ('"auroc": 0.75', '"auroc": NaN', "classification.auroc"),
        ('"kind": "folder"', '"kind": "room"', "groups.0.kind"),
        ("}", "", "is no JSON"),
    ],
)
def test_a_file_that_is_none_of_ours_is_refused_by_name(tmp_path: Path, old: str, new: str, problem: str) -> None:
    path = write_result(tmp_path, RESULT)
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(ResultError, match=problem) as told:
        read_result(path)
    assert str(path) in str(told.value)


@pytest.mark.parametrize("content", [b"", b"[]", b"7", b"\xff\xfe"])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "metrics.json"
    path.write_bytes(content)
    with pytest.raises(ResultError):
        read_result(path)


def test_nan_is_not_written(tmp_path: Path) -> None:
    broken = replace(RESULT, figures=replace(RESULT.figures, validation_scores=(float("nan"),)))
    with pytest.raises(ValueError, match="JSON"):
        write_result(tmp_path, broken)
    assert not list(tmp_path.rglob("metrics.json"))
