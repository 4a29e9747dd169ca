"""The two-stage search against comparing every patch with every row, in torch and as OpenVINO runs it."""

from __future__ import annotations

import numpy as np
import openvino as ov
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from anomalib_federated.models.nearest_rows import nearest_rows, nearest_rows_in_place
from anomalib_federated.models.two_stage_search import (
    CANDIDATES,
    RECHECKED,
    RowSketch,
    _tile_order,
    nearest_in_two_stages,
)

DIM, ROWS = 24, 1500


def smooth_features(seed: int, *shape: int) -> Tensor:
    """Features of patches that are alike where they are beside each other, like those of a network: ``(..., DIM)``."""
    noise = torch.randn(shape[0], DIM, *shape[1:], generator=torch.Generator().manual_seed(seed))
    averaged = nn.functional.avg_pool2d(noise, 5, 1, 2, count_include_pad=False)
    return (averaged / averaged.std()).permute(0, 2, 3, 1) * torch.linspace(2, 0.1, DIM)


@pytest.fixture(scope="module")
def rows() -> Tensor:
    rows = smooth_features(0, 1, 50, 30).reshape(-1, DIM)
    return rows - rows.mean(0)


@pytest.fixture(scope="module")
def sketch(rows: Tensor) -> RowSketch:
    return RowSketch.of(rows)


def brute_force(patches: Tensor, rows: Tensor) -> Tensor:
    return torch.cdist(patches.flatten(1, 2).double(), rows.double()).amin(2).float()


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 21), st.integers(1, 21), st.integers(0, 99))
def test_distances_are_those_to_the_owners_and_never_too_small(
    rows: Tensor, sketch: RowSketch, height: int, width: int, seed: int
) -> None:
    patches = smooth_features(seed, 2, height, width)
    distances, owners = nearest_in_two_stages(patches, rows, sketch)
    to_owner = (patches.flatten(1, 2) - rows[owners]).norm(dim=2)
    torch.testing.assert_close(distances, to_owner, atol=1e-4, rtol=1e-4)
    assert (distances >= brute_force(patches, rows) - 1e-4).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 21), st.integers(1, 21), st.integers(0, 99))
def test_the_largest_distances_are_exact(rows: Tensor, sketch: RowSketch, height: int, width: int, seed: int) -> None:
    patches = smooth_features(seed, 1, height, width)
    expected = brute_force(patches, rows)
    distances, _ = nearest_in_two_stages(patches, rows, sketch)
    if height * width <= RECHECKED:
        torch.testing.assert_close(distances, expected, atol=1e-4, rtol=1e-4)
    # What was not compared with all rows is an upper bound, so a largest value that is exact is the true maximum.
    off = (distances - expected).abs() > 1e-3
    assert not off.any() or distances[off].max() <= distances.max() + 1e-4
    torch.testing.assert_close(distances.max(), expected.max(), atol=1e-3, rtol=1e-3)


def test_most_patches_find_their_nearest_row(rows: Tensor, sketch: RowSketch) -> None:
    patches = smooth_features(7, 4, 40, 40)
    distances, _ = nearest_in_two_stages(patches, rows, sketch)
    expected = brute_force(patches, rows)
    assert ((distances - expected).abs() < 1e-3).float().mean() > 0.8
    assert ((distances - expected) / expected).mean() < 0.02


def test_a_defect_far_from_all_rows_is_scored_exactly(rows: Tensor, sketch: RowSketch) -> None:
    patches = smooth_features(3, 1, 30, 30)
    patches[0, 11:14, 5:9] += 50 * torch.randn(DIM, generator=torch.Generator().manual_seed(1))
    distances, _ = nearest_in_two_stages(patches, rows, sketch)
    expected = brute_force(patches, rows)
    worst = expected.topk(12).indices
    torch.testing.assert_close(distances.gather(1, worst), expected.gather(1, worst), rtol=1e-5, atol=1e-3)


def test_pictures_of_a_batch_do_not_touch_each_other(rows: Tensor, sketch: RowSketch) -> None:
    patches = smooth_features(5, 3, 17, 20)
    together, _ = nearest_in_two_stages(patches, rows, sketch)
    alone = torch.cat([nearest_in_two_stages(picture[None], rows, sketch)[0] for picture in patches])
    torch.testing.assert_close(together, alone)


@given(st.integers(1, 40), st.integers(1, 40))
def test_every_patch_is_found_again_in_its_tile(height: int, width: int) -> None:
    order, back = _tile_order(height, width)
    assert torch.equal(order[back], torch.arange(height * width))
    assert len(order) % 4 == 0
    down, across = order.reshape(-1, 4) // width, order.reshape(-1, 4) % width
    for axis in (down, across):
        assert int((axis.amax(1) - axis.amin(1)).max()) <= 1


def test_a_row_looks_most_like_itself(rows: Tensor, sketch: RowSketch) -> None:
    assert len(sketch.codes) % CANDIDATES == 0
    likeness = sketch.likeness(rows[:200])
    assert (likeness.argmax(1) == torch.arange(200)).float().mean() > 0.9
    assert int(likeness.argmax(1).max()) < ROWS, "what fills the hands up is never nearest"


def test_rows_that_are_all_one_give_finite_distances() -> None:
    rows = torch.zeros(1000, DIM)
    patches = smooth_features(0, 1, 9, 9)
    distances, owners = nearest_in_two_stages(patches, rows, RowSketch.of(rows))
    torch.testing.assert_close(distances, patches.flatten(1, 2).norm(dim=2))
    assert int(owners.max()) < len(rows)


class Search(nn.Module):
    def forward(self, patches: Tensor, rows: Tensor, *sketch: Tensor) -> Tensor:
        return nearest_in_two_stages(patches, rows, RowSketch(*sketch))[0]


def test_openvino_searches_in_integers_and_agrees_with_torch(rows: Tensor, sketch: RowSketch) -> None:
    constants = (rows, *sketch)
    example = (smooth_features(1, 2, 12, 10), *constants)
    model = ov.convert_model(torch.jit.trace(Search(), example, check_trace=False), example_input=example)
    _, *parameters = model.get_parameters()
    for parameter, value in zip(parameters, constants, strict=True):
        parameter.output(0).replace(ov.opset13.constant(value.numpy()).output(0))
        model.remove_parameter(parameter)
    model.validate_nodes_and_infer_types()
    compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    layers = [(node.get_rt_info()["layerType"].astype(str), node.get_rt_info()["runtimePrecision"].astype(str))
              for node in compiled.get_runtime_model().get_ordered_ops()]  # fmt: skip
    assert ("FullyConnected", "i8") in layers, "the first look is in 8 bit integers"
    for shape in ((1, 31, 20), (3, 8, 8), (1, 1, 1)):
        patches = smooth_features(2, *shape)
        expected, _ = nearest_in_two_stages(patches, rows, sketch)
        actual = torch.from_numpy(compiled([patches.numpy()])[0])
        # Rounding may choose another candidate among those that look alike.
        assert ((actual - expected).abs() < 1e-3).float().mean() > 0.99
        torch.testing.assert_close(actual.amax(1), expected.amax(1), atol=1e-3, rtol=1e-3)


class SearchAll(nn.Module):
    def forward(self, patches: Tensor, rows: Tensor) -> Tensor:
        return nearest_rows(patches.flatten(0, 2), rows)[0]


class SearchInPlace(nn.Module):
    def forward(self, patches: Tensor, rows: Tensor) -> Tensor:
        places = torch.full((len(rows), 2), 0.5)
        return nearest_rows_in_place(patches.flatten(0, 2), rows, places, (patches.shape[1], patches.shape[2]))[0]


@pytest.mark.parametrize("search", [Search(), SearchAll(), SearchInPlace()], ids=lambda search: type(search).__name__)
def test_what_is_no_number_stays_none_in_openvino(rows: Tensor, sketch: RowSketch, search: nn.Module) -> None:
    constants = (rows, *sketch) if isinstance(search, Search) else (rows,)
    example = (smooth_features(1, 1, 12, 10), *constants)
    model = ov.convert_model(torch.jit.trace(search, example, check_trace=False), example_input=example)
    compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    patches = smooth_features(1, 1, 12, 10)
    patches[0, 3, 3] = torch.nan
    found = compiled([patches.numpy(), *(value.numpy() for value in constants)])[0]
    assert np.isnan(found.reshape(-1)[33]), "0 would be a pass"
