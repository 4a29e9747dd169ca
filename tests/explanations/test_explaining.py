"""Which explanations are made anew."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

from PIL import Image

from anomalib_federated.explanations.explaining import Asked, explain_pictures
from anomalib_federated.models.image_score import ImageScore
from anomalib_federated.models.patch_scorer import PatchScorer
from anomalib_federated.testing.example_case import CATEGORY, example_model, example_picture


def test_an_explanation_of_another_site_quorum_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "0.png"
    Image.fromarray(example_picture(defect=True)).save(path)
    asked = [Asked(path=path, name="test/spot/0.png", category=CATEGORY)]
    model = deepcopy(example_model(site_quorum=2))
    model.bank = model.bank  # forgets thresholds, which would differ too
    assert explain_pictures(model, asked, ["overlay"], output=tmp_path).computed == 1
    assert explain_pictures(model, asked, ["overlay"], output=tmp_path).computed == 0
    model.scorer = PatchScorer(ImageScore("smoothed_max"))
    model.bank = model.bank
    assert explain_pictures(model, asked, ["overlay"], output=tmp_path).computed == 1
