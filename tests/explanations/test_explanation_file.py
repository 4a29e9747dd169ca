"""Explanations as numbers and as pictures: written, read, refused when they are wrong."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from anomalib_federated.explanations.drawing import WIDTH, draw
from anomalib_federated.explanations.explanation_file import (
    LISTED,
    ExplanationError,
    read_explanations,
    read_told,
    told_of,
    write_told,
)
from anomalib_federated.interfaces.explainer import Panel
from anomalib_federated.testing.example_case import example_cases
from anomalib_federated_plugins.explainer.shapley_exact import ExactShapley


@pytest.fixture(scope="module")
def explained():
    case = example_cases()[1]
    return case, ExactShapley().explain(case, seed=0)


def test_what_is_written_is_read_and_adds_up(explained, tmp_path, monkeypatch):
    case, explanation = explained
    monkeypatch.setattr("anomalib_federated.explanations.explanation_file.LISTED", 5)
    told = told_of(case, explanation, method="shapley_exact", made_from={"seed": 0})
    path = write_told(tmp_path / "interpretability" / "screw" / "spot_0_shapley_exact.json", told)
    assert read_told(path) == told
    assert read_explanations(tmp_path) == {path: told}
    plain = json.loads(path.read_text())
    assert len(plain["contributions"]) == 5
    assert plain["others"]["patches"] == 16 - 5
    total = plain["baseline"] + sum(each["value"] for each in plain["contributions"]) + plain["others"]["value"]
    assert total == pytest.approx(plain["explained"]) == pytest.approx(case.score)
    for each in plain["contributions"]:
        assert each["patch"] == 4 * each["row"] + each["column"]
        assert each["box"] == list(case.box(each["patch"]))


def test_no_more_than_the_list_holds_needs_no_others(explained):
    case, explanation = explained
    assert len(explanation.contributions) <= LISTED
    assert told_of(case, explanation, method="m").others.patches == 0


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda plain: plain["contributions"].pop(), "add up to"),
        (lambda plain: plain.update(explained=9.0), "add up to"),
        (lambda plain: plain["contributions"][0].update(row=3), "that a grid of"),
        (lambda plain: plain.pop("score"), r"is no explanation of this package: .* \(score\)"),
        (lambda plain: plain.update(more=1), r"is no explanation of this package: .* \(more\)"),
    ],
    ids=["a contribution less", "another number", "another row", "a field less", "a field more"],
)
def test_a_changed_file_is_refused(explained, tmp_path, change, problem):
    path = write_told(tmp_path / "a.json", told_of(*explained, method="m"))
    plain = json.loads(path.read_text())
    change(plain)
    path.write_text(json.dumps(plain))
    with pytest.raises(ExplanationError, match=problem) as caught:
        read_told(path)
    assert str(path) in str(caught.value)


def test_what_is_no_json_is_refused(tmp_path):
    (tmp_path / "a.json").write_text('{"score": NaN}')
    with pytest.raises(ExplanationError, match="is no JSON"):
        read_told(tmp_path / "a.json")


@pytest.mark.parametrize("facts", [{"t": torch.ones(1)}, {"n": float("nan")}], ids=["a tensor", "no number"])
def test_what_json_cannot_hold_is_refused(explained, facts):
    case, explanation = explained
    with pytest.raises(ExplanationError, match="cannot be written as JSON"):
        told_of(case, replace(explanation, facts=facts), method="m")


def test_sampled_contributions_may_miss_by_their_errors_only(explained):
    case, explanation = explained
    off = tuple(replace(each, value=each.value + 0.01, standard_error=0.01) for each in explanation.contributions)
    assert told_of(case, replace(explanation, contributions=off), method="m").contributions[0].standard_error == 0.01
    with pytest.raises(ExplanationError, match="add up"):
        told_of(
            case, replace(explanation, contributions=tuple(replace(e, standard_error=None) for e in off)), method="m"
        )


@pytest.mark.parametrize("size", [(40, 56), (300, 20), (17, 900)], ids=["small", "narrow", "low"])
def test_drawings_are_as_wide_as_said_and_show_what_is_there(explained, size):
    case, explanation = explained
    told = replace(told_of(case, explanation, method="m" * 90), private=True)
    picture = np.full((*size, 3), 90, np.uint8)
    annotated = np.zeros(size, bool)
    annotated[2:4, 2:9] = True
    panels = tuple(Panel(picture=picture, caption="word " * number) for number in range(1, 6))
    drawn = draw(picture, told, replace(explanation, panels=panels, threshold=0.01), annotated=annotated)
    bare = draw(picture, replace(told, private=False), explanation)
    assert drawn.width == bare.width == WIDTH
    assert drawn.height > bare.height
    assert len(drawn.convert("P").getcolors()) > 3


def test_a_relevance_of_nothing_is_drawn(explained):
    case, explanation = explained
    nothing = replace(explanation, relevance=torch.zeros_like(explanation.relevance), baseline=None, contributions=())
    assert draw(case.picture, told_of(case, nothing, method="m"), nothing).width == WIDTH
