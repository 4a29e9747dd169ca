"""Parts drawn at known places: the frame found against their closed form, and maps back where they belong."""

from __future__ import annotations

import math
from dataclasses import asdict, replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from anomalib_federated.backbones import Backbone
from anomalib_federated.bank import FeatureSpace
from anomalib_federated.models import FederatedPatchcore
from anomalib_federated.models.image_transform import image_transform
from anomalib_federated.models.part_frame import FILL, place_parts, to_frame, to_picture
from anomalib_federated.models.patch_features import PatchFeatureExtractor
from anomalib_federated.testing.banks import example_bank

SIDE = 192
LENGTH, BREADTH = 100.0, 24.0


def draw(
    *,
    degrees: float = 0,
    middle: tuple[float, float] = (96, 96),
    scale: float = 1,
    size: tuple[int, int] = (SIDE, SIDE),
) -> Tensor:
    """A bar whose left quarter is twice as broad, turned clockwise about ``middle`` (x, y): ``(1, 3, *size)``."""
    y, x = torch.meshgrid(*(torch.arange(side) + 0.5 for side in size), indexing="ij")
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    u = (cos * (x - middle[0]) + sin * (y - middle[1])) / scale
    v = (cos * (y - middle[1]) - sin * (x - middle[0])) / scale
    half = torch.where(u < -LENGTH / 4, BREADTH, BREADTH / 2)
    depth = torch.minimum(LENGTH / 2 - u.abs(), half - v.abs()) * scale
    covered = (depth + 0.5).clamp(0, 1)  # soft edges, as a lens makes them
    return 0.8 + covered * (torch.tensor([0.2, 0.4, 0.3]).reshape(1, 3, 1, 1) - 0.8)


def angle(affine: Tensor) -> float:
    return math.degrees(math.atan2(float(affine[0, 1, 0]), float(affine[0, 0, 0])))


def framed(images: Tensor) -> Tensor:
    size = images.shape[-2:]
    return to_frame(images, place_parts(images, size), size, oversampling=1)


@settings(max_examples=20, deadline=None)
@given(
    degrees=st.floats(-179, 180),
    x=st.floats(80, 112),
    y=st.floats(80, 112),
    scale=st.floats(0.8, 1.2),
)
def test_a_part_turned_moved_and_scaled_comes_out_the_same(degrees: float, x: float, y: float, scale: float) -> None:
    images = draw(degrees=degrees, middle=(x, y), scale=scale)
    affine = place_parts(images, (SIDE, SIDE)).affine
    assert abs((angle(affine) - degrees + 180) % 360 - 180) < 1
    expected = framed(draw())
    difference = (framed(images) - expected).abs()
    assert float(difference.mean()) < 0.01
    assert float((expected - 0.8).abs().mean()) > 0.05  # there is a part to be seen


def test_a_bar_fills_its_share_of_the_frame() -> None:
    bar = torch.zeros(1, 3, SIDE, SIDE)
    bar[..., 90:102, 40:140] = 1
    affine = place_parts(bar, (SIDE, SIDE)).affine
    half = 50 / 96 / FILL  # of its 100 pixels, in halves of the picture
    torch.testing.assert_close(affine[0, :, :2], half * torch.eye(2), rtol=0.02, atol=1e-4)
    torch.testing.assert_close(affine[0, :, 2], torch.tensor([90 / 96 - 1, 0.0]), rtol=0, atol=0.01)


def test_light_ends_are_in_the_frame() -> None:
    y, x = torch.meshgrid(*(torch.arange(SIDE) + 0.5,) * 2, indexing="ij")
    triangle = ((x > 30) & (x < 150) & ((y - 96).abs() < (150 - x) / 4)).float().expand(1, 3, -1, -1)
    affine = place_parts(triangle, (SIDE, SIDE)).affine
    first, last = (float(affine[0, 0, 2] + sign * affine[0, 0, 0]) * 96 + 96 for sign in (-1, 1))
    assert first < 30
    assert last > 150 - 120 / 30  # of the tip itself a thirtieth may be cut


def test_it_is_never_mirrored() -> None:
    images = draw(degrees=30).flip(-1)
    assert float(torch.det(place_parts(images, (SIDE, SIDE)).affine[0, :, :2])) > 0


def test_where_both_ends_are_alike_the_heavy_side_is_up() -> None:
    def tee(*, top: bool) -> Tensor:
        images = torch.zeros(1, 3, SIDE, SIDE)
        images[..., 80:95, 40:150] = 1
        images[..., 95:110, 70:120] = 1  # the lighter side is below
        return images if top else images.flip(-1, -2)

    torch.testing.assert_close(framed(tee(top=True)), framed(tee(top=False)), rtol=0, atol=1e-3)
    assert abs(angle(place_parts(tee(top=True), (SIDE, SIDE)).affine)) < 1


def test_a_round_part_is_moved_and_scaled_only() -> None:
    y, x = torch.meshgrid(*(torch.arange(SIDE) + 0.5,) * 2, indexing="ij")
    disc = (((x - 120).square() + (y - 80).square()).sqrt() < 30).float().expand(1, 3, -1, -1)
    affine = place_parts(disc, (SIDE, SIDE)).affine
    assert float(affine[0, 0, 1]) == float(affine[0, 1, 0]) == 0
    torch.testing.assert_close(affine[0, :, 2], torch.tensor([120 / 96 - 1, 80 / 96 - 1]), rtol=0, atol=0.01)


@pytest.mark.parametrize("kind", ["noise", "stripes", "flat"])
def test_a_picture_without_a_part_stays_as_it_is(kind: str) -> None:
    images = torch.full((1, 3, SIDE, SIDE), 0.5)
    if kind == "noise":
        images = torch.rand(images.shape, generator=torch.Generator().manual_seed(0))
    if kind == "stripes":
        images[..., ::32, :] = 1
        images[..., 1::32, :] = 1
    assert torch.equal(place_parts(images, (SIDE, SIDE)).affine[0], torch.eye(2, 3))
    torch.testing.assert_close(framed(images), images, rtol=0, atol=1e-4)


def test_a_picture_alone_and_in_a_batch_give_the_same_twice() -> None:
    images = torch.cat([draw(degrees=25), draw(degrees=-70, middle=(110, 90)), torch.rand(1, 3, SIDE, SIDE)])
    together = place_parts(images, (SIDE, SIDE))
    for position in range(3):
        alone = place_parts(images[position : position + 1], (SIDE, SIDE))
        torch.testing.assert_close(alone.affine[0], together.affine[position], rtol=0, atol=1e-5)
    assert torch.equal(place_parts(images, (SIDE, SIDE)).affine, together.affine)


@settings(max_examples=20, deadline=None)
@given(degrees=st.floats(-179, 180), spot=st.floats(-0.4, 0.4))
def test_a_map_goes_back_to_where_the_defect_was(degrees: float, spot: float) -> None:
    size = (160, 224)
    images = draw(degrees=degrees, middle=(110, 82), size=size)
    radians = math.radians(degrees)
    x, y = 110 + spot * LENGTH * math.cos(radians), 82 + spot * LENGTH * math.sin(radians)
    rows, columns = torch.meshgrid(*(torch.arange(side) + 0.5 for side in size), indexing="ij")
    defect = torch.exp(-((columns - x).square() + (rows - y).square()) / 18).expand(1, 3, -1, -1)
    placement = place_parts(images, (96, 192))
    # What a detector would see of the defect in the part's frame, had it no other features.
    plain = placement._replace(background=torch.zeros(1, 3))
    grid = to_frame(defect, plain, (96, 192), oversampling=2)[:, :1]
    back = to_picture(grid, placement.affine, size)[0, 0]
    peak = int(back.argmax())
    assert math.hypot(peak % size[1] + 0.5 - x, peak // size[1] + 0.5 - y) < 1.5
    assert float(back.min()) >= 0


def test_outside_the_frame_a_map_is_0() -> None:
    affine = torch.tensor([[[0.5, 0.0, 0.0], [0.0, 0.5, 0.0]]])
    back = to_picture(torch.ones(1, 1, 8, 8), affine, (64, 64))[0, 0]
    assert torch.equal(back[16:48, 16:48], torch.ones(32, 32))
    assert float(back[:11].max()) == float(back[:, 53:].max()) == 0


def test_identity_leaves_a_map_as_interpolation_makes_it() -> None:
    grid = torch.rand(2, 1, 8, 12, generator=torch.Generator().manual_seed(0))
    expected = torch.nn.functional.interpolate(grid, size=(64, 96), mode="bilinear")
    torch.testing.assert_close(to_picture(grid, torch.eye(2, 3).expand(2, 2, 3), (64, 96)), expected)


def extractor(**options: object) -> PatchFeatureExtractor:
    return PatchFeatureExtractor(Backbone(), frame="part", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("keep_aspect_ratio", [False, True])
def test_features_lie_in_a_frame_of_the_image_size(*, keep_aspect_ratio: bool) -> None:
    model = extractor(image_size=(64, 128), keep_aspect_ratio=keep_aspect_ratio)
    images = image_transform(model.space)(draw(size=(150, 200)))
    assert model.map_size(images) == (80, 104)  # 64 x 128 pixels in the picture's shape
    assert model(images).shape[-2:] == ((10, 13) if keep_aspect_ratio else (8, 16))


def test_a_model_says_where_the_defect_is_in_the_picture() -> None:
    model = FederatedPatchcore(frame="part", image_size=(96, 192), visualizer=False, post_processor=False).eval()
    with torch.inference_mode():
        good = torch.cat([draw(degrees=angle) for angle in range(0, 360, 20)])
        embedding = model.model(model.pre_processor.transform(good))
        rows = embedding.permute(0, 2, 3, 1).flatten(0, 2)
        example = example_bank(rows=len(rows), dim=model.space.dim)
        model.bank = replace(example, features=rows.contiguous(), space=model.space)
        defective = draw(degrees=130)
        defective[..., 106:114, 80:88] = 1.0  # on the part's thin half
        found = model(defective).anomaly_map[0, 0]
    row, column = divmod(int(found.argmax()), found.shape[1])
    assert math.dist((row / found.shape[0] * SIDE, column / found.shape[1] * SIDE), (110, 84)) < 12


def test_banks_of_different_frames_do_not_merge() -> None:
    space = extractor(image_size=(64, 64)).space
    assert space.differences(replace(space, frame="picture")) == "frame is 'part' and 'picture'"
    assert FeatureSpace.from_dict(asdict(space)) == space


@pytest.mark.parametrize("frame", ["Part", "", None, 1, ["part"], "picture\n"])
def test_an_unknown_frame_is_refused(frame: object) -> None:
    values = {**asdict(example_bank().space), "frame": frame}
    with pytest.raises(ValueError, match="frame is"):
        FeatureSpace.from_dict(values)


def test_a_space_rebuilds_its_extractor() -> None:
    space = extractor(image_size=(64, 64)).space
    assert PatchFeatureExtractor.of_space(space).space == space
