"""Overlay, Grad-CAM, occlusion and nearest normal patches, each against a way of its own to find the same."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from anomalib_federated.interfaces.explainer import Box
from anomalib_federated.pictures import read_image
from anomalib_federated.testing.example_case import example_cases, example_model
from anomalib_federated_plugins.explainer import nearest_normal
from anomalib_federated_plugins.explainer.gradcam import GradCam
from anomalib_federated_plugins.explainer.nearest_normal import NearestNormal
from anomalib_federated_plugins.explainer.occlusion import GREY_LEVELS, Occlusion
from anomalib_federated_plugins.explainer.overlay import Overlay


def test_overlay_is_the_map_with_regions_above_the_pixel_threshold():
    case = example_cases()[5]
    assert Overlay().explain(case, seed=0).threshold is None  # never calibrated
    case = example_cases()[0]
    found = Overlay().explain(case, seed=0)
    assert torch.equal(found.relevance, case.anomaly_map)
    assert found.threshold == 0.8
    above = (case.anomaly_map > 0.8).float().mean()
    assert found.facts["share_above"] == pytest.approx(float(above))
    assert len(found.facts["regions"]) == int(above > 0)


@pytest.mark.parametrize("number", range(6))
def test_gradcam_weights_channels_by_the_mean_gradient(number):
    case = example_cases()[number]
    for layer in case.layers:
        activations, gradient = case.gradient(layer)
        grid = torch.zeros(activations.shape[1:])
        for channel, slope in zip(activations, gradient, strict=True):
            grid += channel * slope.sum() / slope.numel()
        found = GradCam(layer=layer).explain(case, seed=0)
        assert torch.allclose(found.relevance, case.on_picture(grid.clamp_min(0)), atol=1e-6)
        assert found.settings == {"layer": layer}


def test_gradcam_refuses_a_layer_that_the_detector_does_not_use():
    with pytest.raises(ValueError, match=r"uses no layer 'blocks.9', only blocks.2, blocks.4"):
        GradCam(layer="blocks.9").explain(example_cases()[0], seed=0)


def test_occlusion_is_what_rescoring_each_covered_picture_gives():
    case = example_cases()[0]
    middles = np.array([4, 12, 20, 28])  # of the 4 x 4 patches of 32 pixels
    found = Occlusion(box=12, stride=8).explain(case, seed=0)
    falls = {}
    for top in (0, 8, 16, 20):
        for left in (0, 8, 16, 20):
            mask = np.zeros((32, 32), np.uint8)
            mask[top : top + 12, left : left + 12] = 1
            channels = [cv2.inpaint(each.numpy() * GREY_LEVELS, mask, 5, cv2.INPAINT_TELEA) for each in case.image]
            covered = torch.from_numpy(np.stack(channels)) / GREY_LEVELS
            outside = torch.from_numpy(mask == 0)
            assert torch.allclose(covered[:, outside], case.image[:, outside], atol=1e-6)
            left_over = case.remaining_distances(covered[None])
            rows, columns = ((begin <= middles) & (middles < begin + 12) for begin in (top, left))
            left_over[0, torch.from_numpy(rows[:, None] & columns)] = 0
            falls[top, left] = case.score - float(case.scores_of_distances(left_over))
    for y, x in ((0, 0), (9, 9), (20, 31), (31, 31), (15, 16)):
        over = [fall for (top, left), fall in falls.items() if top <= y < top + 12 and left <= x < left + 12]
        assert float(found.relevance[y, x]) == pytest.approx(np.mean(over), abs=1e-5)
    assert found.facts["boxes"] == 16
    assert found.facts["largest_falls"][0]["fall"] == pytest.approx(max(falls.values()), abs=1e-5)


@pytest.mark.parametrize("number", range(len(example_cases())))
def test_no_cover_is_an_anomaly(number):
    case = example_cases()[number]
    found = Occlusion(box=12, stride=12).explain(case, seed=0)
    if "reweighted" not in case.score_rule:
        assert found.relevance.min() >= -1e-5
    whole = Occlusion(box=64, stride=64).explain(case, seed=0)
    assert whole.relevance.mean() == pytest.approx(case.score, rel=1e-5)  # nothing is left of it


def test_a_box_larger_than_the_picture_covers_it_whole():
    found = Occlusion(box=100, stride=50).explain(example_cases()[0], seed=0)
    assert found.facts["boxes"] == 1
    assert found.facts["largest_falls"][0]["box"] == [0, 0, 56, 40]


def test_boxes_leave_no_pixel_out():
    with pytest.raises(ValueError, match="leave pixels out"):
        Occlusion(box=8, stride=9)


def test_the_nearest_rows_are_those_of_brute_force():
    case = example_cases()[0]
    found = NearestNormal(patches=4).explain(case, seed=0)
    rows = case.bank.features.double().numpy()
    patches = case.features.double().numpy()
    distances = np.linalg.norm(patches[:, None] - rows, axis=2)
    worst = np.argsort(-distances.min(1), kind="stable")[:4]
    assert [each["patch"] for each in found.facts["patches"]] == worst.tolist()
    for each in found.facts["patches"]:
        assert each["bank_row"] == distances[each["patch"]].argmin()
        assert each["distance"] == pytest.approx(distances[each["patch"]].min(), rel=1e-4)
        assert (each["site"], each["category"]) == ("plant-a", "screw")
        assert each["box"] == list(case.box(each["patch"]))
    assert not found.private
    assert not found.panels


def test_own_pictures_are_searched_for_the_bank_row(tmp_path: Path):
    case = example_cases()[-1]
    found = NearestNormal(patches=2, pictures=3).explain(case, seed=0)
    assert found.private
    assert len(found.panels) == 2 * (1 + 3)
    model, files = example_model(), case._normal._pictures
    features = []
    for name, path in files.items():
        image = model.pre_processor.transform(torch.from_numpy(read_image(path)).permute(2, 0, 1)[None] / 255)
        with torch.no_grad():
            embedding = model.model(image)[0].flatten(1).T
        features += [(name, number, each) for number, each in enumerate(embedding)]
    for told in found.facts["patches"]:
        row = case.bank.features[told["bank_row"]]
        order = sorted(features, key=lambda each: float((each[2] - row).norm()))[:3]
        assert [each["picture"] for each in told["own_normal"]] == [name for name, _, _ in order]
        for each, (_, number, one) in zip(told["own_normal"], order, strict=True):
            # Kept in float16: distances of about 1 come within a thousandth.
            assert each["distance_to_bank_row"] == pytest.approx(float((one - row).norm()), abs=2e-3)
            row_number, column = divmod(number, 4)
            assert each["box"] == [14 * column, 10 * row_number, 14 * column + 14, 10 * row_number + 10]
        assert told["own_normal"][0]["distance_to_bank_row"] < 2e-3  # the bank was made of these pictures


def test_panels_of_a_patch_at_the_corner_stay_in_the_picture():
    picture = np.zeros((20, 30, 3), np.uint8)
    panel = nearest_normal._panel(picture, Box(26, 16, 30, 20), "corner")
    assert min(panel.picture.shape[:2]) >= 16
    assert (panel.picture == 255).any()
