"""fairness.json: whole, read back, refused when it is not ours."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from anomalib_federated.evaluation.fairness.fairness_file import (
    FILE,
    of_cell,
    read_all_fairness,
    read_fairness,
    write_fairness,
)
from anomalib_federated.evaluation.fairness.figures import FIGURES, DividedFigures, Fairness, GroupFigures
from anomalib_federated.evaluation.fairness.seeds import indices_of_groups, over_seeds
from anomalib_federated.evaluation.figures import Interval
from anomalib_federated.evaluation.results import ResultError


def made_group(name: str, value: float | None, *, interval: Interval | None = None) -> GroupFigures:
    return GroupFigures(
        name=name,
        good=3,
        defective=4,
        channels=5,
        held_out=0,
        figures=dict.fromkeys(FIGURES) | {"image_auroc": value},
        intervals={} if interval is None else {"image_auroc": interval},
    )


def made_fairness(*values: float | None, seed: int = 0, method: str = "mine", category: str = "screw") -> Fairness:
    groups = tuple(made_group(name, value) for name, value in zip("abcdef", values, strict=False))
    division = DividedFigures(by="group", groups=groups, of_no_group=1, indices=indices_of_groups(groups))
    return Fairness(
        method=method,
        category=category,
        seed=seed,
        divisions=(division,),
        thresholds={"0.95": 1.5},
        validation_images=20,
        confidence=0.95,
        resamples=0,
    )


FAIRNESS = made_fairness(0.5, 0.75, None)


def test_it_is_written_beside_the_metrics_and_read_back(tmp_path: Path) -> None:
    path = write_fairness(tmp_path, FAIRNESS)
    assert path == tmp_path / "metrics" / "mine" / "screw" / "fairness.json"
    assert read_fairness(path) == FAIRNESS
    assert FAIRNESS.by("group").indices["image_auroc"].left_out == ("c",)


def test_all_below_a_folder_are_found_in_order_and_none_is_no_error(tmp_path: Path) -> None:
    assert read_all_fairness(tmp_path) == []
    every = [replace(FAIRNESS, seed=seed) for seed in (1, 0)]
    for one in every:
        write_fairness(tmp_path / f"seed_{one.seed}", one)
    assert read_all_fairness(tmp_path) == every[::-1]
    assert of_cell(every, "mine", "screw") == every
    assert of_cell(every, "mine", "nut") == []
    write_fairness(tmp_path / "copy", FAIRNESS)
    with pytest.raises(ResultError, match="what another file below"):
        read_all_fairness(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('"seed": 0', '"seed": "none"', "seed"),
        ('"seed": 0', '"sed": 0', "seed"),
        ('"image_auroc": 0.5', '"image_auroc": NaN', "image_auroc"),
        ('"image_auroc": 0.5', '"image_auroc": "high"', "image_auroc"),
        ('"by": "group"', '"by": "colour"', "divisions.0.by"),
        ("}", "", "is no JSON"),
    ],
)
def test_a_file_that_is_none_of_ours_is_refused_by_name(tmp_path: Path, old: str, new: str, problem: str) -> None:
    path = write_fairness(tmp_path, FAIRNESS)
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(ResultError, match=problem) as told:
        read_fairness(path)
    assert str(path) in str(told.value)
    assert "measure again" in str(told.value)


@pytest.mark.parametrize("content", [b"", b"[]", b"7", b"\xff\xfe"])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / FILE
    path.write_bytes(content)
    with pytest.raises(ResultError):
        read_fairness(path)


def test_nan_is_not_written(tmp_path: Path) -> None:
    broken = replace(FAIRNESS, thresholds={"0.95": float("nan")})
    with pytest.raises(ValueError, match="JSON"):
        write_fairness(tmp_path, broken)
    assert not list(tmp_path.rglob(FILE))


def test_seeds_are_averaged_and_their_range_stands_for_intervals() -> None:
    one, two = (made_fairness(*values).by("group") for values in ((0.5, 0.9, 0.4), (0.7, 0.8, None)))
    found = over_seeds([one, two])
    a, b, c = found.groups
    assert a.figures["image_auroc"] == pytest.approx(0.6)
    assert (a.intervals["image_auroc"].low, a.intervals["image_auroc"].high) == (0.5, 0.7)
    assert c.figures["image_auroc"] is None  # one seed does not define it
    assert "image_auroc" not in c.intervals
    indices = found.indices["image_auroc"]
    assert (indices.worst, indices.left_out, indices.gap_interval) == ("a", ("c",), None)
    assert indices.gap == pytest.approx(0.25)
    assert b.good == 3
    assert over_seeds([one]) is one
