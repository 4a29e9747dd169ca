"""``adaptive_gaussian`` and ``codebook_sum``: how much one picture changes a sum, and what is learnt from sums."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from scipy.spatial.distance import mahalanobis

from anomalib_federated.backbones import BackboneError
from anomalib_federated.models.patch_features import PatchFeatureExtractor
from anomalib_federated.privacy.noise import Noise
from anomalib_federated.testing import example_bank
from anomalib_federated.testing.privacy import ConstantNoise, seeded_noise
from anomalib_federated_plugins.privacy.adaptive_gaussian import AdaptiveGaussian
from anomalib_federated_plugins.privacy.codebook_sum import CodebookSum
from anomalib_federated_plugins.privacy.cosine_map import position_cosines, to_cosines
from anomalib_federated_plugins.privacy.half_vector import from_half_vector

PLUGINS = [AdaptiveGaussian, CodebookSum]
NO_NOISE = ConstantNoise(0)
DIM = 8


def space(dim=DIM):
    return example_bank(dim=dim).space


def pictures(count, *, shape=(8, 8), dim=DIM, seed=0):
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(dim, dim, generator=generator)
    return torch.randn(count, *shape, dim, generator=generator) @ mixing + torch.randn(dim, generator=generator)


def states(privacy, sites, *, noise, dim=DIM):
    """What is known before each round, and at the end."""
    found = [privacy.start(space(dim))]
    for number in range(len(privacy.shares)):
        sums = [privacy.release([[each] for each in site], found[-1], number, noise=noise) for site in sites]
        found.append(privacy.learn(found[-1], privacy.total(sums, found[-1], number, noise=noise)))
    return found


def learnt(privacy, sites, *, noise=NO_NOISE, dim=DIM):
    return privacy.finish(states(privacy, sites, noise=noise, dim=dim)[-1])


def distance(found, patch, place):
    """By the definition of what is learnt."""
    rows = found.rows
    if found.places is not None:
        apart = (found.places - torch.tensor(place)).norm(dim=1)
        rows = rows[apart == apart.min()]
    return float(((patch - rows) @ found.projection).norm(dim=1).min())


NUMBERS = st.one_of(
    st.floats(-10, 10, width=32),
    st.floats(width=32, allow_nan=False, allow_infinity=False),
    st.sampled_from([0.0, 3e38, -3e38, 1e-45, 1e-38, 1e20]),
)
PATCHES = st.one_of(
    arrays(np.float32, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(DIM)), elements=NUMBERS),
    NUMBERS.map(lambda number: np.full((6, 7, DIM), number, dtype=np.float32)),
)
OF_EACH_ROUND = [
    (privacy, number, state)
    for privacy in (AdaptiveGaussian(epsilon=2.0), AdaptiveGaussian(epsilon=1000.0), CodebookSum(epsilon=8.0))
    for number, state in enumerate(states(privacy, [pictures(20)], noise=seeded_noise(1))[:-1])
]


@settings(max_examples=60, deadline=None)
@given(patches=PATCHES, which=st.sampled_from(range(len(OF_EACH_ROUND))))
def test_one_picture_changes_a_sum_by_no_more_than_the_clip(patches, which):
    privacy, number, state = OF_EACH_ROUND[which]
    others, picture = [[each] for each in pictures(2, seed=3)], torch.from_numpy(patches)
    vector = privacy.contribution(picture, state)
    assert float(vector.norm()) <= privacy.clip * (1 + 1e-9), "vectors are of length one by themselves"
    fewer, whole = (
        privacy.total([privacy.release(units, state, number, noise=NO_NOISE)], state, number, noise=NO_NOISE)
        for units in (others, [*others, [picture]])
    )
    assert float((whole - fewer).norm()) <= privacy.clip * (1 + 1e-9)
    assert torch.allclose(whole - fewer, vector, atol=1e-4), "a picture's vector is added, and not shortened"


@pytest.mark.parametrize("plugin", PLUGINS)
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_pictures_that_are_not_finite_count_as_zero_in_every_round(plugin, bad):
    privacy, picture = plugin(), pictures(1)[0]
    picture[0, 0, 0] = bad
    for number, state in enumerate(states(privacy, [pictures(9)], noise=seeded_noise(0))[:-1]):
        assert not privacy.release([[picture]], state, number, noise=NO_NOISE).any()


@pytest.mark.parametrize("plugin", PLUGINS)
@pytest.mark.parametrize("level", [1e-3, 1.0, 1.7, 1.9, 1e3])
def test_a_state_made_to_overflow_asks_nothing_by_errors(plugin, level):
    """Whether a picture's mean exceeds a bound would else be answered exactly, by an error in place of a sum."""
    privacy = plugin()
    basis = torch.eye(DIM, 4, dtype=torch.float64)
    basis[0, 0] = 1e308
    state = {"centre": torch.zeros(DIM, dtype=torch.float64), "basis": basis}
    picture = torch.full((8, 8, DIM), level)
    assert privacy.release([[picture]], state, 0, noise=Noise()).shape == (privacy.dimensions(state),)


def test_without_noise_pictures_that_are_alike_give_their_mean_and_covariance():
    """Vectors then have equal weights, so both have a closed form: numpy's, and scipy's distance."""
    picture = pictures(1, shape=(12, 12))[0]
    found = learnt(AdaptiveGaussian(epsilon=1000.0), [[picture] * 50])
    waves = position_cosines(12, 8).numpy()
    smooth = waves.T @ waves / 12
    around = np.einsum("ra,cb,abd->rcd", smooth, smooth, picture.double().numpy())
    apart = (picture.numpy() - around)[::2, ::2].reshape(-1, DIM)
    precision = np.linalg.inv(apart.T @ apart / len(apart))
    places = found.places.reshape(32, 32, 2)
    map_there = from_cosines_by_hand(picture, places[:, 0, 0].double().numpy())
    probes = np.random.default_rng(0).standard_normal((5, DIM)) * 3
    pairs = [
        (distance(found, torch.from_numpy(probe).float(), places[row, column].tolist()),
         mahalanobis(probe, map_there[row, column], precision))
        for probe in probes for row, column in [(0, 0), (15, 3), (31, 20)]
    ]  # fmt: skip
    ratios = np.array([ours / theirs for ours, theirs in pairs])
    assert ratios == pytest.approx(ratios.mean(), rel=2e-3)


def from_cosines_by_hand(picture, positions):
    """The map as a sum of cosines, written out."""
    rows, columns, _ = picture.shape
    total = np.zeros((len(positions), len(positions), picture.shape[2]))
    for i in range(8):
        for j in range(8):
            scale = (1 if i == 0 else 2) * (1 if j == 0 else 2)
            down = np.cos(np.pi * i * (np.arange(rows) + 0.5) / rows)
            across = np.cos(np.pi * j * (np.arange(columns) + 0.5) / columns)
            mean = np.einsum("r,c,rcd->d", down, across, picture.double().numpy()) / rows / columns
            waves = np.outer(np.cos(np.pi * i * positions), np.cos(np.pi * j * positions))
            total += scale * waves[:, :, None] * mean
    return total


def test_a_defect_is_farther_from_the_map_than_good_patches_are():
    good = pictures(300, seed=4)
    found = learnt(AdaptiveGaussian(epsilon=8.0), [list(good[:280])], noise=seeded_noise(0))
    direction = torch.linalg.eigh(torch.cov(good[:280].flatten(0, 2).T))[1][:, 0] * 3  # of the least spread
    own = [distance(found, patch, (0.5, 0.5)) for patch in good[280:, 4, 4]]
    moved = [distance(found, patch + direction, (0.5, 0.5)) for patch in good[280:, 4, 4]]
    assert np.median(moved) > max(own)


def test_without_noise_a_codebook_of_clusters_finds_the_clusters():
    centres = torch.randn(4, DIM, generator=torch.Generator().manual_seed(0)) * 5
    which = torch.randint(4, (40, 8, 8), generator=torch.Generator().manual_seed(1))
    found = learnt(CodebookSum(epsilon=1000.0), [list(centres[which])])
    assert torch.cdist(centres, found.rows).amin(1).max() < 0.05 * torch.pdist(centres).min()


@pytest.mark.parametrize("plugin", PLUGINS)
@pytest.mark.parametrize("shape", [(8, 8), (5, 12), (1, 1)])
def test_sums_of_sites_equal_the_pooled_sum(plugin, shape):
    """Whatever the split: with no noise, and with the centre's."""
    data = list(pictures(24, shape=shape))
    for noise_of in (lambda: NO_NOISE, lambda: seeded_noise(7)):
        one, three = (
            learnt(plugin(noise_by="centre"), sites, noise=noise_of())
            for sites in ([data], [data[:5], data[5:6], data[6:]])
        )
        assert torch.equal(one.rows, three.rows)
        assert torch.equal(one.projection, three.projection)


@pytest.mark.parametrize("plugin", PLUGINS)
@pytest.mark.parametrize("count", [1, 6])
def test_few_pictures_under_much_noise_still_lead_to_something_finite(plugin, count):
    for seed in range(5):
        found = learnt(plugin(epsilon=0.1), [list(pictures(count))], noise=seeded_noise(seed))
        assert bool(torch.isfinite(found.projection).all())


@pytest.mark.parametrize("plugin", PLUGINS)
@pytest.mark.parametrize("number", [0.0, 1.0, -2.5])
def test_constant_pictures_without_noise_lead_to_something_finite(plugin, number):
    found = learnt(plugin(epsilon=1000.0), [[torch.full((8, 8, DIM), number)] * 5])
    assert bool(torch.isfinite(found.rows).all())


def test_more_pictures_or_less_noise_allow_more_directions():
    def directions(count, epsilon):
        found = learnt(AdaptiveGaussian(epsilon=epsilon), [[pictures(1, dim=64)[0]] * count], noise=seeded_noise(0),
                       dim=64)  # fmt: skip
        return found.projection.shape[1]

    assert directions(20, 1.0) == 16
    assert 16 < directions(320, 1.0) < directions(320, 2.0) == 64


@pytest.mark.parametrize("plugin", PLUGINS)
def test_noise_of_sites_that_add_all_of_it_is_seen(plugin):
    """The number of directions falls with the noise of nine sites, of which nobody told the centre."""
    data = [pictures(1, dim=64)[0]] * 360
    sites = [data[begin::9] for begin in range(9)]
    one, nine = (
        learnt(plugin(epsilon=2.0, noise_by="each_site"), each, noise=seeded_noise(0), dim=64).projection.shape[1]
        for each in ([data], sites)
    )
    assert nine < one


@pytest.mark.parametrize("plugin", PLUGINS)
@pytest.mark.parametrize("arguments", [{"epsilon": 0}, {"delta": 2}, {"noise_by": "nobody"}, {"honest_sites": 0}])
def test_impossible_arguments_are_refused(plugin, arguments):
    with pytest.raises(ValueError, match="give"):
        plugin(**arguments)


@pytest.mark.parametrize("plugin", PLUGINS)
def test_the_report_says_what_is_public(plugin):
    assert "drawn at random" in plugin().report().public[0]
    assert "declared public" in plugin(public_images="catalogue").report().public[0]


def test_public_images_of_a_backbone_that_is_not_there_are_refused(tmp_path):
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    with pytest.raises(BackboneError):
        AdaptiveGaussian(public_images=str(tmp_path)).start(space())
    with pytest.raises(FileNotFoundError, match="no picture"):
        AdaptiveGaussian(public_images=str(tmp_path / "none")).start(space())


def test_public_images_give_principal_components(tmp_path, monkeypatch):
    """Of features of unit variance, as numpy finds them; a stand-in makes the features out of the pixels."""
    rng = np.random.default_rng(0)
    for name in "abc":
        Image.fromarray(rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(tmp_path / f"{name}.png")
    wanted = example_bank(dim=3).space
    stand_in = SimpleNamespace(of_space=lambda _: _Pixels(wanted))
    monkeypatch.setattr("anomalib_federated_plugins.privacy.public_features.PatchFeatureExtractor", stand_in)
    state = AdaptiveGaussian(public_images=str(tmp_path)).start(wanted)
    rows = torch.cat([_Pixels(wanted).seen(path) for path in sorted(tmp_path.iterdir())]).double().numpy()
    found = ((rows - state["centre"].numpy()) @ state["basis"].numpy()).T
    values = np.linalg.eigvalsh(np.corrcoef(rows.T))[::-1]
    assert np.cov(found) == pytest.approx(np.diag(values), abs=1e-4)


class _Pixels:
    """Features are the transformed pixels."""

    def __init__(self, wanted):
        self.space = wanted

    def __call__(self, images):
        return images

    def seen(self, path):
        from anomalib_federated.models.image_transform import image_transform

        pixels = torch.from_numpy(np.asarray(Image.open(path)).copy()).permute(2, 0, 1)[None].float() / 255
        return image_transform(self.space)(pixels).permute(0, 2, 3, 1).flatten(0, 2)


def test_public_images_are_seen_with_the_weights_of_the_federation(tmp_path):
    from anomalib_federated.backbones import Backbone

    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    own = PatchFeatureExtractor(Backbone(), image_size=(64, 64)).space
    assert AdaptiveGaussian(public_images=str(tmp_path)).start(own)["basis"].shape == (own.dim, own.dim)
    from dataclasses import replace

    with pytest.raises(ValueError, match="weights is"):
        AdaptiveGaussian(public_images=str(tmp_path)).start(replace(own, weights="0" * 64))


def test_half_vectors_of_an_impossible_size_are_refused():
    with pytest.raises(ValueError, match="No symmetric matrix has 4 numbers"):
        from_half_vector(torch.zeros(4))


def test_cosines_that_few_positions_cannot_tell_apart_are_zero():
    found = to_cosines(torch.randn(3, 2, 4, dtype=torch.float64), 6)
    assert not found[3:].any()
    assert not found[:, 2:].any()
    assert found[:3, :2].abs().min() > 0
