"""Corrupted pictures: what is done to them, the same everywhere, and that features of them are kept apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torchvision.transforms.v2 import functional as F  # noqa: N812

from anomalib_federated.backbones import Backbone
from anomalib_federated.data import AutoVI
from anomalib_federated.data.batches import batches
from anomalib_federated.data.corruption import PRESETS, Corruption
from anomalib_federated.federation import Site
from anomalib_federated.models.patch_features import PatchFeatureExtractor
from anomalib_federated.patch_store import StoreError

NAMES = [f"screw/train/good/{number:03d}.png" for number in range(400)]


def picture(height: int = 24, width: int = 32, *, low: float = 0.3, high: float = 0.6) -> Tensor:
    drawn = torch.rand(3, height, width, generator=torch.Generator().manual_seed(0))
    return low + (high - low) * drawn


def many(corruption: Corruption, given: Tensor) -> Iterator[Tensor]:
    return (corruption(given, name=name) for name in NAMES)


def test_brightness_multiplies_by_factors_of_its_range() -> None:
    given = picture()
    factors = []
    for changed in many(Corruption(brightness=0.4), given):
        ratio = changed / given
        assert float(ratio.max() - ratio.min()) < 1e-5  # one factor for all pixels
        factors.append(float(ratio.mean()))
    assert 0.6 <= min(factors) < 0.62
    assert 1.38 < max(factors) <= 1.4
    assert np.mean(factors) == pytest.approx(1.0, abs=0.03)


def test_contrast_multiplies_the_difference_to_the_mean_gray() -> None:
    given = picture()
    mean = float(F.rgb_to_grayscale(given).mean())
    factors = []
    for changed in many(Corruption(contrast=0.3), given):
        ratio = (changed - mean) / (given - mean)
        middle = float(ratio.median())
        torch.testing.assert_close(changed, mean + middle * (given - mean), atol=1e-4, rtol=0)
        factors.append(middle)
    assert 0.7 <= min(factors) < 0.72
    assert 1.28 < max(factors) <= 1.301


def test_blur_is_gaussian_and_lowers_the_energy_of_gradients() -> None:
    given = picture()

    def energy(of: Tensor) -> float:
        return float(of.diff(dim=1).pow(2).sum() + of.diff(dim=2).pow(2).sum())

    energies = [energy(changed) for changed in many(Corruption(blur=3.0), given)]
    assert max(energies) <= energy(given) * 1.0001
    assert np.median(energies) < 0.1 * energy(given)
    # Against scipy, with the strength that this name draws.
    corruption = Corruption(blur=3.0, seed=5)
    rng = np.random.default_rng([5, *NAMES[0].encode()])
    rng.random(4), rng.uniform(-1, 1, size=2)
    sigma = 3.0 * rng.random()
    radius = int(np.ceil(3 * sigma))
    expected = [gaussian_filter(channel, sigma, mode="mirror", radius=radius) for channel in given.double().numpy()]
    np.testing.assert_allclose(corruption(given, name=NAMES[0]).numpy(), np.stack(expected), atol=1e-4)


def test_noise_has_its_standard_deviation_in_every_pixel_alone() -> None:
    given = torch.full((3, 40, 40), 0.5)
    added = torch.stack([changed - given for changed in many(Corruption(noise=0.05), given)]).double()
    assert float(added.std()) == pytest.approx(0.05, rel=0.01)
    assert float(added.mean()) == pytest.approx(0.0, abs=2e-4)
    beside = (added[..., 1:] * added[..., :-1]).mean() / added.pow(2).mean()
    assert abs(float(beside)) < 0.01
    channels = (added[:, 0] * added[:, 1]).mean() / added.pow(2).mean()
    assert abs(float(channels)) < 0.01


def test_each_befalls_its_share_of_the_pictures_apart_from_the_others() -> None:
    given = picture()
    bright = [not torch.equal(changed, given) for changed in many(Corruption(brightness=0.4, probability=0.3), given)]
    noisy = [not torch.equal(changed, given) for changed in many(Corruption(noise=0.1, probability=0.3), given)]
    assert np.mean(bright) == pytest.approx(0.3, abs=0.07)
    assert np.mean(noisy) == pytest.approx(0.3, abs=0.07)
    assert np.mean(np.array(bright) & np.array(noisy)) == pytest.approx(0.09, abs=0.05)


def test_a_stronger_one_does_more_to_the_same_pictures() -> None:
    given = picture()
    weak, strong = Corruption(brightness=0.1, probability=0.5), Corruption(brightness=0.4, probability=0.5)
    for one, other in zip(many(weak, given), many(strong, given), strict=True):
        torch.testing.assert_close(4 * (one - given), other - given, atol=1e-5, rtol=0)


@given(
    st.fixed_dictionaries(
        {
            "brightness": st.floats(0, 1),
            "contrast": st.floats(0, 1),
            "blur": st.floats(0, 10),
            "noise": st.floats(0, 1),
            "seed": st.integers(0, 2**32),
        }
    ),
    st.text(max_size=30),
)
@settings(max_examples=40)
def test_pixels_stay_pixels(fields: dict[str, Any], name: str) -> None:
    given = picture(5, 3, low=0, high=1)
    kept = given.clone()
    corruption = Corruption(**fields)
    changed = corruption(given, name=name)
    assert (changed.shape, changed.dtype) == (given.shape, given.dtype)
    assert 0 <= float(changed.min()) <= float(changed.max()) <= 1
    assert torch.equal(given, kept)
    assert torch.equal(corruption(given, name=name), changed)
    assert replace(corruption, probability=0)(given, name=name) is given


def test_nothing_depends_on_global_chance_or_the_order() -> None:
    given, corruption = picture(), Corruption.of({"preset": "high", "probability": 1}, seed=3)
    first = [corruption(given, name=name) for name in NAMES[:5]]
    torch.manual_seed(99)
    before = torch.get_rng_state()
    again = [corruption(given, name=name) for name in NAMES[4::-1]]
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(one, other) for one, other in zip(first, again[::-1], strict=True))
    assert len({changed.sum().item() for changed in first}) == 5
    other_seed = replace(corruption, seed=4)
    assert not torch.equal(other_seed(given, name=NAMES[0]), first[0])


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ("strong", "no corruption named 'strong'; name low, medium or high"),
        (3, "A corruption is 3; name low, medium or high"),
        ({"preset": "odd"}, "no corruption named 'odd'"),
        ({"brightnes": 0.1}, "no field 'brightnes'; it has preset, brightness, contrast"),
        ({"brightness": 1.1}, "brightness is 1.1; give a number from 0 to 1"),
        ({"contrast": -0.1}, "contrast is -0.1"),
        ({"blur": float("inf")}, "blur is inf; give a number from 0 to 50"),
        ({"noise": float("nan")}, "noise is nan"),
        ({"noise": True}, "noise is True"),
        ({"probability": "often"}, "probability is 'often'"),
        ({"seed": -1}, "seed is -1; give a whole number"),
        ({"seed": 1.5}, "seed is 1.5"),
    ],
)
def test_impossible_ones_are_refused_in_a_sentence(tmp_path: Path, spec: object, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Corruption.of(spec)
    with pytest.raises(ValueError, match=problem):
        AutoVI(tmp_path, train_corruption=spec)
    with pytest.raises(ValueError, match=problem):
        AutoVI(tmp_path, test_corruption=spec)


def test_presets_grow_and_know_their_names() -> None:
    low, medium, high = (PRESETS[name] for name in ("low", "medium", "high"))
    for field in ("brightness", "contrast", "blur", "noise", "probability"):
        assert getattr(low, field) < getattr(medium, field) < getattr(high, field)
    assert [Corruption.of(name, seed=9).words for name in PRESETS] == list(PRESETS)
    assert Corruption.of({"preset": "low", "noise": 0.5}).words == (
        "brightness 0.2, contrast 0.2, blur 1, noise 0.5, probability 0.1"
    )
    assert Corruption(probability=0, noise=1).words == Corruption().words == "nothing"


ALL = {"preset": "high", "probability": 1}


@pytest.mark.parametrize("workers", [0, 2])
def test_a_data_set_reads_the_same_with_any_number_of_workers(demo_root: Path, workers: int) -> None:
    plain, corrupted = AutoVI(demo_root), AutoVI(demo_root, test_corruption=ALL, seed=0)
    plain.setup()
    corrupted.setup()
    clean = {item.image_path: item for item in plain.test_data}
    for batch in batches(corrupted.test_data, batch_size=3, num_workers=workers):
        for position, path in enumerate(batch.image_path):
            item = clean[path]
            expected = Corruption.of(ALL)(item.image, name=Path(path).relative_to(demo_root).as_posix())
            assert torch.equal(batch.image[position], expected)
            assert not torch.equal(batch.image[position], item.image)
            assert torch.equal(batch.gt_mask[position], item.gt_mask)
            assert [defect.area for defect in batch.defects[position]] == [defect.area for defect in item.defects]


def test_thresholds_come_from_pictures_corrupted_as_those_tested(demo_root: Path) -> None:
    data = AutoVI(demo_root, ["tank_screw"], train_corruption="low", test_corruption={"noise": 0.1}, seed=4)
    data.setup()
    assert data.train_data.corruption == Corruption.of("low", seed=4)
    assert data.val_data.corruption == data.test_data.corruption == Corruption(noise=0.1, seed=4)
    assert data.test_data.sample([0]).corruption == data.test_data.corruption
    assert data.test_data.corrupted(None)[0].image.unique().numel() < data.test_data[0].image.unique().numel()
    assert AutoVI(demo_root, test_corruption={"noise": 0.1, "seed": 7}, seed=4).test_corruption.seed == 7


def test_without_one_features_that_were_stored_before_are_found(demo_root: Path) -> None:
    data = AutoVI(demo_root)
    data.setup()
    assert data.train_data.reading == "None"


def test_features_of_corrupted_pictures_are_kept_apart(demo_root: Path, tmp_path: Path) -> None:
    def site(**settings: object) -> Site:
        data = AutoVI(demo_root, ["tank_screw"], **settings)
        data.setup()
        some = data.train_data.sample([0, 1])
        return Site("a", some, extractor=extractor, store=tmp_path)

    extractor = PatchFeatureExtractor(Backbone(), image_size=(64, 64))
    first = site(train_corruption="high", seed=2)
    rows = torch.cat([block for _, block in first.patches().rows("tank_screw").blocks()])
    first.close()
    for other in ({}, {"train_corruption": "low", "seed": 2}):
        with pytest.raises(StoreError, match=r"reading is 'None after Corruption\(brightness=0.6.*seed=2\)' and"):
            site(**other).patches()
    again = site(train_corruption="high", seed=2)
    assert torch.equal(torch.cat([block for _, block in again.patches().rows("tank_screw").blocks()]), rows)
    again.close()
