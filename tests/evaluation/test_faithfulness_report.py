"""What the report shows of explanations."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from anomalib_federated.evaluation.faithfulness.faithfulness_file import write_faithfulness
from anomalib_federated.evaluation.report import write_report
from anomalib_federated.evaluation.report.explanations import explanation_cards
from anomalib_federated.evaluation.results import ResultError
from anomalib_federated.explanations.explanation_file import ExplanationError, Told, write_told
from tests.evaluation.made_faithfulness import made_faithfulness, made_picture
from tests.evaluation.made_results import made_result


def test_the_report_has_a_row_per_explainer_and_marks_what_fails(tmp_path: Path) -> None:
    results = [made_result("centralised", "screw", 0.5)]
    page = write_report(results, tmp_path, tmp_path / "report.html").read_text()
    assert 'id="explanations"' not in page
    methods = {"overlay": [made_picture()] * 5, "<b>edges": [made_picture(bank=1.0)] * 5}
    path = write_faithfulness(tmp_path, made_faithfulness(methods, resamples=20))
    page = write_report(results, tmp_path, tmp_path / "report.html").read_text()
    assert '<a href="#explanations">' in page
    assert '<th scope="row">overlay</th>' in page
    assert "<b>edges" not in page
    assert '<span class="worst">1.00</span><small>fails</small>' in page
    assert "<span>0.10</span><small>passes</small>" in page
    assert "[0.25, 0.25]" in page
    assert "2 defective test pictures" in page
    path.write_text("{}")
    with pytest.raises(ResultError, match=r"faithfulness\.json"):
        write_report(results, tmp_path, tmp_path / "report.html")


def made_explanation(folder: Path, image: str, method: str, *, score: float, private: bool = False) -> Path:
    told = Told(
        method=method,
        category="screw",
        image=image,
        size=(40, 60),
        grid=(4, 4),
        score=score,
        score_rule="max",
        threshold=None,
        explained=score,
        explained_as="score",
        private=private,
    )
    path = write_told(folder / "interpretability" / "screw" / f"{Path(image).stem}_{method}.json", told)
    Image.new("RGB", (960, 400), (200, 90, 60)).save(path.with_suffix(".png"))
    return path


def test_explanations_of_the_highest_scores_are_shown_and_private_ones_stay(tmp_path: Path) -> None:
    for number, score in enumerate((1.0, 3.0, 2.0)):
        for method in ("overlay", "gradcam"):
            made_explanation(tmp_path, f"test/dent/{number}.png", method, score=score)
    made_explanation(tmp_path, "test/dent/1.png", "nearest_normal", score=3.0, private=True)
    write_faithfulness(tmp_path, made_faithfulness())  # in the same folder, and no explanation
    cards, private = explanation_cards(tmp_path)
    assert [(card.told.image[-5], card.told.method) for card in cards] == [
        ("1", "gradcam"), ("1", "overlay"), ("2", "gradcam"), ("2", "overlay"),
    ]  # fmt: skip
    assert private == 1
    assert (cards[0].width, cards[0].height) == (640, 267)
    page = write_report([made_result("centralised", "screw", 0.5)], tmp_path, tmp_path / "report.html").read_text()
    assert page.count("<figcaption>gradcam: ") == 2
    assert "nearest_normal" not in page
    assert "1 explanation shows a site&#39;s own" in page or "1 explanation shows a site's own" in page


def test_damaged_explanations_are_named(tmp_path: Path) -> None:
    path = made_explanation(tmp_path, "test/dent/1.png", "overlay", score=1.0)
    path.with_suffix(".png").write_bytes(b"no picture")
    with pytest.raises(ExplanationError, match=r"1_overlay\.png, the drawing of an explanation, cannot be read"):
        explanation_cards(tmp_path)
    path.with_suffix(".png").unlink()
    with pytest.raises(ExplanationError, match="explain again"):
        explanation_cards(tmp_path)
    path.write_text("{}")
    with pytest.raises(ExplanationError, match="explain again"):
        explanation_cards(tmp_path)
