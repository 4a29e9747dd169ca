"""From pixels to what the backbone sees: one result, whichever form runs it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from anomalib.pre_processing.utils.spec import spec_to_transform, transform_to_spec
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms.v2 import Compose
from torchvision.tv_tensors import Image, Mask

from anomalib_federated.bank import FeatureSpace
from anomalib_federated.models.image_transform import STRIDE, ResizeToArea, TraceableTransform, image_transform

NATIVE = FeatureSpace(
    backbone="resnet18",
    weights="0" * 64,
    layers=("layer2",),
    layer_scales=(1.0,),
    image_size=None,
    keep_aspect_ratio=False,
    mean=(0.4, 0.5, 0.6),
    std=(0.2, 0.25, 0.3),
    pooling=3,
    dim=128,
)
FIXED = replace(NATIVE, image_size=(48, 80))
SHAPED = replace(NATIVE, image_size=(64, 96), keep_aspect_ratio=True)
SIZES = [(48, 80), (75, 100), (301, 97), (33, 31), (20, 22)]


def pictures(size: tuple[int, int], batch: int = 2) -> torch.Tensor:
    return torch.rand(batch, 3, *size, generator=torch.Generator().manual_seed(size[0]))


@pytest.mark.parametrize("space", [NATIVE, FIXED, SHAPED], ids=["native", "fixed", "shaped"])
@pytest.mark.parametrize("size", SIZES)
def test_the_traceable_form_gives_the_same(space: FeatureSpace, size: tuple[int, int]) -> None:
    images = pictures(size)
    torch.testing.assert_close(TraceableTransform(space)(images), image_transform(space)(images), rtol=0, atol=1e-5)


@pytest.mark.parametrize("space", [NATIVE, FIXED, SHAPED], ids=["native", "fixed", "shaped"])
def test_a_picture_alone_and_in_a_batch_give_the_same(space: FeatureSpace) -> None:
    images, transform = pictures((75, 100), batch=3), image_transform(space)
    torch.testing.assert_close(transform(images)[1], transform(images[1]), rtol=0, atol=1e-6)


def test_native_pictures_are_only_normalised() -> None:
    images = pictures((33, 31))
    expected = (images - torch.tensor(NATIVE.mean).reshape(3, 1, 1)) / torch.tensor(NATIVE.std).reshape(3, 1, 1)
    torch.testing.assert_close(image_transform(NATIVE)(images), expected)


def test_shrinking_averages_instead_of_skipping() -> None:
    stripes = torch.zeros(1, 3, 96, 160)
    stripes[..., ::2] = 1
    seen = TraceableTransform(FIXED)(stripes)[0, 0, :, 4:-4] * FIXED.std[0] + FIXED.mean[0]
    torch.testing.assert_close(seen, torch.full_like(seen, 0.5), rtol=0, atol=0.05)


def test_sizes() -> None:
    assert image_transform(FIXED)(pictures((301, 97))).shape == (2, 3, 48, 80)
    # 64 * 96 pixels in the shape 3 : 4 are 67.9 x 90.5 pixels.
    assert image_transform(SHAPED)(pictures((75, 100))).shape == (2, 3, 64, 96)
    assert image_transform(SHAPED)(pictures((100, 75))).shape == (2, 3, 96, 64)


@settings(max_examples=60, deadline=None)
@given(height=st.integers(8, 400), width=st.integers(8, 400), side=st.integers(48, 400))
def test_area_and_shape_are_kept_up_to_multiples_of_16(height: int, width: int, side: int) -> None:
    resized = ResizeToArea(side * side)(torch.zeros(1, height, width)).shape[1:]
    exact = side * math.sqrt(height / width), side * math.sqrt(width / height)
    for got, wanted in zip(resized, exact, strict=True):
        assert got % STRIDE == 0
        assert got >= STRIDE
        assert abs(got - wanted) <= STRIDE / 2 + 1e-3 or wanted < STRIDE
    if min(exact) >= 3 * STRIDE:
        assert resized[0] * resized[1] == pytest.approx(side * side, rel=0.4)


def test_masks_are_resized_to_the_nearest_and_with_their_picture() -> None:
    mask = Mask((torch.rand(60, 80, generator=torch.Generator().manual_seed(0)) > 0.5).to(torch.uint8) * 7)
    image, resized = ResizeToArea(32 * 32)(Image(torch.rand(3, 60, 80)), mask)
    assert image.shape[1:] == resized.shape
    assert resized.unique().tolist() == [0, 7]
    assert resized.dtype == torch.uint8


@pytest.mark.parametrize("space", [NATIVE, FIXED, SHAPED], ids=["native", "fixed", "shaped"])
def test_it_survives_anomalibs_checkpoint_form(space: FeatureSpace) -> None:
    transform = image_transform(space)
    restored = spec_to_transform(transform_to_spec(transform))
    assert isinstance(restored, Compose)
    assert [type(step) for step in restored.transforms] == [type(step) for step in transform.transforms]
    images = pictures((75, 100))
    assert torch.equal(restored(images), transform(images))
