"""Cases: scores, gradients and places, against the model itself, finite differences and geometry."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from anomalib_federated.bank import BankError
from anomalib_federated.explanations.case import ModelCase
from anomalib_federated.explanations.network_input import network_input
from anomalib_federated.explanations.normal_pictures import NormalPictures
from anomalib_federated.explanations.patch_boxes import patch_box
from anomalib_federated.models.patch_features import patch_rows
from anomalib_federated.testing.example_case import CATEGORY, example_cases, example_model, example_picture

CASES = pytest.mark.parametrize("number", range(8))


@CASES
def test_all_ways_to_the_score_give_the_models_own(number):
    case = example_cases()[number]
    model = case._model
    pixels = torch.from_numpy(case.picture).permute(2, 0, 1)[None] / 255
    with torch.no_grad():
        expected = model.predict_batch(model.pre_processor.transform(pixels), [CATEGORY])
    assert case.score == pytest.approx(float(expected.pred_score), rel=1e-5)
    assert case.remaining_scores(case.image.expand(3, -1, -1, -1)).tolist() == pytest.approx([case.score] * 3, rel=1e-5)
    grids = case.distances.expand(3, -1, -1)
    assert case.scores_of_distances(grids).tolist() == pytest.approx([case.score] * 3, rel=1e-5)
    own = case.distances_in_place(case.features, torch.arange(case.distances.numel()))
    assert torch.allclose(own, case.distances.flatten(), atol=1e-4)
    small = interpolate(case.anomaly_map[None, None], size=expected.anomaly_map.shape[2:], mode="area")
    assert torch.allclose(small, expected.anomaly_map, atol=0.02)


def changed_pictures(case):
    noise = torch.randn(case.image.shape, generator=torch.Generator().manual_seed(0))
    without_defect = network_input(case._model, example_picture())[0]
    return torch.stack([case.image + 0.05 * noise, case.image + 2 * noise, noise, without_defect])


def test_a_patch_counts_with_the_less_of_its_two_distances():
    case = example_cases()[0]
    images = changed_pictures(case)
    with torch.no_grad():
        rows = patch_rows(case._model.model(images))
    changed = torch.cdist(rows.double(), case.bank.features.double()).amin(1).reshape(4, *case.distances.shape)
    expected = case.scores_of_distances(changed.float().minimum(case.distances))
    assert case.remaining_scores(images).tolist() == pytest.approx(expected.tolist(), rel=1e-5)
    assert (changed > case.distances + 0.01).any(), "or the larger would do as well"
    assert (changed < case.distances - 0.01).any()


@CASES
def test_no_change_raises_the_score(number):
    case = example_cases()[number]
    if "reweighted" in case.score_rule:
        pytest.skip("weighs by the patch that is farthest away")
    assert (case.remaining_scores(changed_pictures(case)) <= case.score + 1e-5).all()


@CASES
def test_the_score_is_of_distances_alone_where_its_rule_says_so(number):
    case = example_cases()[number]
    if "reweighted" in case.score_rule:
        pytest.skip("looks at features too")
    grid = torch.rand(1, *case.distances.shape, generator=torch.Generator().manual_seed(0))
    features = case.features.clone()
    rule = case._model.scorer.image_score
    expected = rule(rule.clipped(grid)[:, None], case.owners.reshape(1, -1), features[None], case.bank.features, None)
    assert float(case.scores_of_distances(grid)) == pytest.approx(float(expected))


def test_reweighted_patches_move_on_the_line_from_their_row():
    case = example_cases()[3]
    patch = int(case.distances.argmax())
    grid = case.distances.clone().reshape(-1)
    grid[:] = 0
    grid[patch] = 0.4
    row = case.bank.features[case.owners.flatten()[patch]]
    away = case.features[patch] - row
    moved = row + away * 0.4 / away.norm()
    nearest = (case.bank.features - row).norm(dim=1).topk(9, largest=False).indices
    weight = 1 - (moved - case.bank.features[nearest]).norm(dim=1).softmax(0)[0]
    assert float(case.scores_of_distances(grid.reshape(1, 4, 4))) == pytest.approx(float(weight) * 0.4, rel=1e-4)


@CASES
def test_gradients_are_those_of_finite_differences(number):
    case = example_cases()[number]
    for layer in case.layers:
        activations, gradient = case.gradient(layer)
        assert activations.shape == gradient.shape
        direction = gradient / gradient.norm()
        step = 1e-2 * float(activations.norm()) / float(activations.numel()) ** 0.5
        rise = (_rescored(case, layer, step * direction) - _rescored(case, layer, -step * direction)) / (2 * step)
        assert rise == pytest.approx(float(gradient.norm()), rel=0.05)


def _rescored(case, layer, change):
    """The score, in float64, if a layer answered something else; nearest rows as they are, nothing clipped."""
    extractor = case._model.model
    with torch.no_grad():
        maps = extractor.layer_maps(case.image[None], case._placement)
        maps[case.layers.index(layer)] = maps[case.layers.index(layer)] + change
        rows = case._rows
        queries = rows.compared(patch_rows(extractor.joined(maps)))
        distances = (queries - rows.rows[case._owners]).double().norm(dim=1).reshape(1, 1, 4, 4)
        rule = case._model.scorer.image_score

        def search(features, count):
            found = (features[:, None] - rows.rows).norm(dim=2).topk(count, largest=False)
            return found.values, found.indices

        # The smoothing of smoothed_max is kept in float32.
        return float(rule(distances.float(), case.owners.reshape(1, -1), queries[None], rows.rows, search))


def test_boxes_share_the_picture_out():
    for size, grid in (((40, 56), (4, 4)), ((41, 57), (4, 5)), ((3, 5), (4, 4))):
        seen = np.zeros(size, int)
        for patch in range(grid[0] * grid[1]):
            left, top, right, bottom = patch_box(patch, grid, size)
            seen[top:bottom, left:right] += 1
            row, column = divmod(patch, grid[1])
            assert left <= (column + 0.5) * size[1] / grid[1] <= right
            assert top <= (row + 0.5) * size[0] / grid[0] <= bottom
        assert seen.min() >= 1
    with pytest.raises(IndexError, match="no patch 16"):
        patch_box(16, (4, 4), (40, 56))


def test_boxes_of_a_turned_frame_are_upright_boxes_around_the_cells():
    # A quarter turn: the frame's x is the picture's y, its y is the picture's -x.
    turned = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0]])
    assert patch_box(0, (2, 2), (80, 80), affine=turned) == (40, 0, 80, 40)
    eighth = torch.tensor([[0.5, -0.5, 0.0], [0.5, 0.5, 0.0]])
    assert patch_box(0, (1, 1), (80, 80), affine=eighth) == (0, 0, 80, 80)
    outside = torch.tensor([[1.0, 0.0, 9.0], [0.0, 1.0, 9.0]])
    assert patch_box(0, (2, 2), (80, 80), affine=outside) == (79, 79, 80, 80)


def test_in_a_parts_frame_what_stands_out_is_where_the_defect_is():
    model = example_model(frame="part")
    defect = example_picture(defect=True)
    turned = np.ascontiguousarray(np.rot90(defect))  # an upright part: its frame is turned
    for picture in (defect, turned):
        case = ModelCase(model, picture, name="test/spot/0.png", category=CATEGORY)
        spot = np.argwhere((picture == 250).all(2)).mean(0)
        left, top, right, bottom = case.box(int(case.distances.argmax()))
        away = np.hypot((top + bottom) / 2 - spot[0], (left + right) / 2 - spot[1])
        assert away < 14  # a patch's width
        grid = torch.zeros(4, 4)
        grid.view(-1)[int(case.distances.argmax())] = 1
        peak = np.unravel_index(int(case.on_picture(grid).argmax()), case.image.shape[1:])
        there = [
            (each + 0.5) * file / seen
            for each, file, seen in zip(peak, picture.shape, case.image.shape[1:], strict=False)
        ]
        assert left - 2 <= there[1] <= right + 2
        assert top - 2 <= there[0] <= bottom + 2


def test_a_parts_frame_stays_while_pixels_change():
    case = example_cases()[4]
    before = case._placement.affine.clone()
    blank = torch.zeros_like(case.image)[None]
    assert torch.isfinite(case.remaining_scores(blank)).all()  # a frame found anew would be the whole picture
    assert torch.equal(case._placement.affine, before)


def test_what_cannot_be_explained_is_refused():
    with pytest.raises(BankError, match="no category 'nut'"):
        ModelCase(example_model(), example_picture(), name="a.png", category="nut")
    with pytest.raises(BankError, match="no category 'nut'"):
        NormalPictures(example_model(), "nut", {})
    with pytest.raises(ValueError, match="give at least 1"):
        NormalPictures(example_model(), CATEGORY, {}).nearest(torch.zeros(1, 152), 0)
