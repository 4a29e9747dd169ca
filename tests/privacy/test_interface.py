"""Sums over rounds: sites' sums are the pooled one, a picture is hidden as much as said, whatever a plugin computes."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalib_federated.bank import MemoryBank
from anomalib_federated.interfaces.privacy import SiteRows
from anomalib_federated.privacy.gaussian import composed, epsilon_of
from anomalib_federated.privacy.noise import STEPS
from anomalib_federated.privacy.state import check_state
from anomalib_federated.testing import example_bank
from anomalib_federated.testing.privacy import CHECKS, ConstantNoise, seeded_noise
from tests.privacy.example_sums import MeanPrivacy


class Shouting(MeanPrivacy):
    """Its vectors are as long as can be: clipped all the same."""

    def contribution(self, patches, state):
        return super().contribution(patches, state) * 1e9


def pictures(count, *, seed=0, offset=3.0):
    return torch.randn(count, 4, 4, 8, generator=torch.Generator().manual_seed(seed)) * 0.1 + offset


def course(privacy, sites, *, seed=0):
    """All rounds with some sites, each a list of pictures."""
    state = privacy.start(example_bank().space)
    for number in range(len(privacy.shares)):
        sums = [
            privacy.release(([each] for each in site), state, number, noise=seeded_noise(100 * seed + 10 * number + i))
            for i, site in enumerate(sites)
        ]
        state = privacy.learn(state, privacy.total(sums, state, number, noise=seeded_noise(1000 + seed)))
    return privacy.finish(state)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("plugin", [MeanPrivacy, Shouting])
def test_conformance(plugin, check):
    check(plugin)


@pytest.mark.parametrize("noise_by", ["centre", "honest_sites"])
def test_sites_find_what_pooling_finds(noise_by):
    """Without each site adding all of the noise, six sites err as one does: by the noise of one."""
    errors = {}
    for sites in (1, 6):
        privacy = MeanPrivacy(epsilon=8.0, noise_by=noise_by, honest_sites=sites if noise_by == "honest_sites" else 1)
        parts = pictures(60).split(60 // sites)
        found = [course(privacy, parts, seed=seed).rows - 3.0 for seed in range(10)]
        errors[sites] = float(torch.cat(found).pow(2).mean().sqrt())
    assert errors[6] == pytest.approx(errors[1], rel=0.3)


def test_without_noise_sites_make_no_difference_at_all():
    privacy = MeanPrivacy()
    state = privacy.start(example_bank().space)
    for number in range(2):
        parts = [pictures(60).split(size) for size in (60, 10)]
        sums = [
            sum(privacy.release(([each] for each in part), state, number, noise=ConstantNoise(0)) for part in sites)
            for sites in parts
        ]
        assert np.array_equal(*sums)


def test_rounds_together_are_what_is_promised():
    privacy = MeanPrivacy(epsilon=3.0, delta=1e-6)
    report, rounds = privacy.report(), [privacy.report_of_round(number) for number in range(2)]
    assert report.epsilon == pytest.approx(3.0)
    assert composed(each.mu for each in rounds) == pytest.approx(report.mu)
    assert rounds[0].epsilon < rounds[1].epsilon < 3.0
    assert rounds[1].epsilon == pytest.approx(epsilon_of(report.mu * math.sqrt(0.75), 1e-6))
    assert report.public == ("nothing",)
    assert privacy.report("part").unit == "part"


@settings(max_examples=40, deadline=None)
@given(offset=st.floats(-1e6, 1e6), seed=st.integers(0, 5), number=st.integers(0, 1), size=st.integers(1, 3))
def test_one_part_changes_no_sum_by_more_than_the_clip(offset, seed, number, size):
    for privacy in (MeanPrivacy(), Shouting(), MeanPrivacy(noise_by="honest_sites", honest_sites=3)):
        state = {"mean": torch.full((8,), float(seed)), "around": torch.tensor(0.5)}
        grid = privacy.grid(number, state)
        units = [[each] for each in pictures(3, seed=seed)]
        more = [*units, list(pictures(size, seed=seed + 9, offset=offset))]
        few, many = (privacy.release(each, state, number, noise=ConstantNoise(0)) for each in (units, more))
        change = sum(int(value) ** 2 for value in many - few)
        assert change <= STEPS**2 * grid.adders / grid.multiplier**2


def test_what_a_site_sends_hides_its_sum():
    """A million times the noise of rounding: the exact sum is nowhere in what is sent."""
    privacy, state = MeanPrivacy(), MeanPrivacy().start(example_bank().space)
    exact = privacy.release(([each] for each in pictures(5)), state, 0, noise=ConstantNoise(0))
    sent = [privacy.release(([each] for each in pictures(5)), state, 0, noise=seeded_noise(i)) for i in range(60)]
    assert np.std(np.array(sent) - exact) == pytest.approx(STEPS, rel=0.1)


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"a": 1.0}, "named tensors"),
        ({1: torch.zeros(1)}, "named tensors"),
        ({"a\n": torch.zeros(1)}, "named tensors"),
        ({"a": torch.zeros(1, dtype=torch.int64)}, "not floating and finite"),
        ({"a": torch.tensor([math.nan])}, "not floating and finite"),
        ({"a": torch.zeros(1).expand(1 << 27)}, "numbers accepted"),
    ],
)
def test_states_from_outside_are_checked(state, said):
    with pytest.raises(ValueError, match=said):
        check_state(state)


@pytest.mark.parametrize("factor", [math.nan, math.inf, 1e308])
def test_vectors_whose_length_is_no_number_count_as_zero(factor):
    """An error in place of a sum would tell of the picture, without noise."""

    class Broken(MeanPrivacy):
        def contribution(self, patches, state):
            return super().contribution(patches, state).double() * factor * 1e10

    start = Broken().start(example_bank().space)
    assert not Broken().release([[pictures(1)[0]]], start, 0, noise=ConstantNoise(0)).any()


@pytest.mark.parametrize(
    "arguments",
    [{"epsilon": 0}, {"epsilon": -1}, {"delta": 2}, {"noise_by": "nobody"}, {"honest_sites": 2}],
)
def test_impossible_arguments_are_refused(arguments):
    with pytest.raises(ValueError, match="give"):
        MeanPrivacy(**arguments)


def test_rows_of_one_site_with_a_picture_each():
    bank = example_bank(rows=3)
    with pytest.raises(ValueError, match="units must be"):
        SiteRows(bank=bank, units=torch.zeros(2, dtype=torch.int64))
    both = MemoryBank.merge([bank, example_bank(rows=3, site="b")])
    with pytest.raises(ValueError, match="one site"):
        SiteRows(bank=both, units=torch.zeros(6, dtype=torch.int64))
