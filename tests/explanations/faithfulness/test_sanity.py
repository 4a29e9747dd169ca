"""Sanity checks: what notices a random detector passes, what sees the picture alone fails."""

from __future__ import annotations

import pytest
import torch

from anomalib_federated.bank import MemoryBank
from anomalib_federated.explanations.faithfulness.measure import Faithfulness, Refusal, Trial, measure_picture
from anomalib_federated.explanations.faithfulness.randomised import (
    randomised_bank,
    with_randomised_backbone,
    with_randomised_bank,
)
from anomalib_federated.explanations.faithfulness.rank_correlation import rank_correlation
from anomalib_federated.explanations.faithfulness.relevance import RelevanceError
from anomalib_federated.explanations.faithfulness.sanity import passes
from anomalib_federated.interfaces.explainer import Case, Explainer, Explanation
from anomalib_federated.testing import example_bank
from anomalib_federated.testing.example_case import CATEGORY, example_model, example_picture
from anomalib_federated.testing.fake_explainers import EdgeDetector, RandomMap
from tests.explanations.faithfulness.toy_case import SumCase, Weights


def trial(*, mask: torch.Tensor | None = None) -> Trial:
    """A picture whose pixels all matter differently, and detectors for which they matter otherwise."""
    weights = [torch.rand(8, 8, generator=torch.Generator().manual_seed(seed)) for seed in range(3)]
    case, random_bank, random_backbone = map(SumCase, weights)
    for each in (case, random_bank, random_backbone):
        each.image = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(9)) + 1
    return Trial(
        case=case,
        reference=case.black,
        reference_score=0.0,
        remaining=0.0,
        mask=mask,
        random_bank=random_bank,
        random_backbone=random_backbone,
    )


class Told(Explainer):
    """Gives a map that it was given, or raises."""

    def __init__(self, relevance: torch.Tensor | None) -> None:
        self.relevance = relevance

    def explain(self, case: Case, *, seed: int) -> Explanation:
        if self.relevance is None:
            msg = "Too many patches; choose shap."
            raise ValueError(msg)
        return Explanation(relevance=self.relevance, explained=case.score, explained_as="the score")


def test_rank_correlation_by_hand() -> None:
    first = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert rank_correlation(first, first.exp()) == pytest.approx(1)
    assert rank_correlation(first, -first) == pytest.approx(-1)
    # ranks 1 2 3 4 and 1.5 1.5 3.5 3.5: covariance 4 / 4, variances 5 / 4 and 4 / 4
    assert rank_correlation(first, torch.tensor([[0.0, 0.0], [7.0, 7.0]])) == pytest.approx(4 / 20**0.5)


def test_constant_maps_have_a_meaning_of_their_own() -> None:
    flat, other = torch.ones(3, 3), torch.arange(9.0).reshape(3, 3)
    assert rank_correlation(flat, 2 * flat) == 1
    assert rank_correlation(flat, other) == rank_correlation(other, flat) == 0


def test_opposite_order_is_no_forgetting() -> None:
    assert not passes([-1.0, 1.0])
    assert passes([0.2, -0.3])
    with pytest.raises(ValueError, match="no picture"):
        passes([])


def test_a_random_bank_keeps_the_values_of_each_category_and_nothing_else() -> None:
    bank = MemoryBank.merge([example_bank(rows=30, category=name, offset=at) for name, at in (("nut", 0), ("cap", 9))])
    changed = randomised_bank(bank, seed=0)
    for category in bank.categories:
        before, after = (each.for_category(category).features for each in (bank, changed))
        assert torch.equal(after.flatten().sort().values, before.flatten().sort().values)
        assert float(torch.corrcoef(torch.stack([before.flatten(), after.flatten()]))[0, 1]) < 0.5
        assert not set(map(tuple, before.tolist())) & set(map(tuple, after.tolist()))
    assert torch.equal(randomised_bank(bank, seed=0).features, changed.features)
    assert not torch.equal(randomised_bank(bank, seed=1).features, changed.features)


def test_random_detectors_leave_the_true_one_as_it_was() -> None:
    model = example_model()
    picture = torch.from_numpy(example_picture(defect=True)).permute(2, 0, 1)[None] / 255
    image = model.pre_processor.transform(picture)
    weights = {name: tensor.clone() for name, tensor in model.model.backbone.network.state_dict().items()}
    with torch.no_grad():
        score = model.predict_batch(image, [CATEGORY]).pred_score
        bank = with_randomised_bank(model, seed=0)
        backbone = with_randomised_backbone(model, seed=0)
        others = [each.predict_batch(image, [CATEGORY]).pred_score for each in (bank, backbone)]
        assert torch.equal(model.predict_batch(image, [CATEGORY]).pred_score, score)
    assert all(bool(other.isfinite()) and float(other) != float(score) for other in others)
    changed = backbone.model.backbone.network.state_dict()
    for name, tensor in weights.items():
        assert torch.equal(changed[name].flatten().sort().values, tensor.flatten().sort().values)
    assert sum(not torch.equal(changed[name], weights[name]) for name in weights) > len(weights) / 2
    assert torch.equal(bank.model.backbone.network.state_dict()["conv_stem.weight"], weights["conv_stem.weight"])


def test_an_explanation_of_the_detector_changes_with_it_and_one_of_the_picture_does_not() -> None:
    found = measure_picture(trial(), {"weights": Weights(), "edges": EdgeDetector(), "random": RandomMap()}, seed=0)
    assert list(found) == ["weights", "edges", "random"]
    weights, edges, drawn = found.values()
    assert passes([weights.bank])
    assert passes([weights.backbone])
    assert edges.bank == edges.backbone == pytest.approx(1)
    assert drawn.bank == drawn.backbone == pytest.approx(1)  # of a seed: it too looks at no detector


def test_without_a_mask_all_else_is_measured() -> None:
    (found,) = measure_picture(trial(), {"weights": Weights()}, seed=0).values()
    assert isinstance(found, Faithfulness)
    assert (found.pointing, found.overlap) == (None, None)
    assert 0 < found.deletion < 0.5 < found.insertion
    mask = torch.zeros(8, 8, dtype=torch.bool)
    mask[:, :4] = True
    (found,) = measure_picture(trial(mask=mask), {"weights": Weights()}, seed=0).values()
    assert found.pointing in {0.0, 1.0}
    assert 0 < found.overlap < 1


def test_what_a_method_cannot_explain_is_told_and_what_it_explains_wrongly_is_refused() -> None:
    refusing, constant = Told(None), Told(torch.full((8, 8), 2.0))
    found = measure_picture(trial(), {"refusing": refusing, "constant": constant}, seed=0)
    assert found["refusing"] == Refusal(reason="Too many patches; choose shap.")
    assert found["constant"].deletion == 0.5
    assert found["constant"].bank == 1
    broken = torch.zeros(8, 8)
    broken[0] = torch.nan
    with pytest.raises(RelevanceError, match=r"explanation of test/dent/1.png by 'broken', 8 of 64 values"):
        measure_picture(trial(), {"broken": Told(broken)}, seed=0)
    with pytest.raises(RelevanceError, match="shape is 4 x 8"):
        measure_picture(trial(), {"small": Told(torch.zeros(4, 8))}, seed=0)
