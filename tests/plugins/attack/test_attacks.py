"""Each attack does what its name says, against definitions written out here."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from anomalib_federated.bank.validation import MAX_FEATURE
from anomalib_federated.interfaces.attack import Loot, forged
from anomalib_federated.testing import example_bank
from anomalib_federated_plugins.attack.backdoor import Backdoor
from anomalib_federated_plugins.attack.duplicates import Duplicates
from anomalib_federated_plugins.attack.flooding import Flooding
from anomalib_federated_plugins.attack.noise import Noise
from anomalib_federated_plugins.attack.own_rows import in_order_of_spread, with_own_rows
from anomalib_federated_plugins.attack.scaling import Scaling
from anomalib_federated_plugins.attack.sign_flip import SignFlip
from anomalib_federated_plugins.attack.stealth import Stealth
from anomalib_federated_plugins.attack.whitelisting import Whitelisting
from anomalib_federated_plugins.coreset.k_center import KCenterCoreset

BANK = example_bank(rows=20, dim=6)
DEFECTS = example_bank(rows=50, dim=6, seed=1, offset=5.0).features
TRIGGERED = example_bank(rows=7, dim=6, seed=2, offset=-5.0).features


def loot(bank=BANK, defects=DEFECTS):
    return Loot(
        bank=bank, defects=defects, triggered=TRIGGERED, admitted=lambda sent: torch.ones(len(sent), dtype=torch.bool)
    )


def rows_of(tensor):
    return {row.numpy().tobytes() for row in tensor}


@pytest.mark.parametrize("attack", [Whitelisting, Backdoor, Flooding, Duplicates, Scaling, SignFlip, Noise, Stealth])
def test_the_first_rows_stay_honest_with_their_weights(attack):
    sent = attack(share=0.25).poison(loot(), seed=0)
    assert torch.equal(sent.features[:15], BANK.features[:15])
    assert torch.equal(sent.weights, BANK.weights)
    assert sent.contributions == BANK.contributions
    assert forged(BANK, sent).tolist() == [False] * 15 + [True] * 5


def test_whitelisting_sends_defects_by_k_center():
    sent = Whitelisting(share=0.5).poison(loot(), seed=3)
    picked = KCenterCoreset(budget=10).select(DEFECTS, seed=3).indices
    assert torch.equal(sent.features[10:], DEFECTS[picked])


def test_whitelisting_with_few_defects_sends_each_once():
    sent = Whitelisting(share=0.5).poison(loot(defects=DEFECTS[:3]), seed=0)
    assert rows_of(sent.features[17:]) == rows_of(DEFECTS[:3])
    assert torch.equal(sent.features[:17], BANK.features[:17])


def test_backdoor_sends_the_trigger():
    sent = Backdoor(share=0.5).poison(loot(), seed=0)
    assert rows_of(sent.features[13:]) == rows_of(TRIGGERED)


def test_flooding_is_far_from_everything():
    sent = Flooding(distance=3.0, share=0.5).poison(loot(), seed=0)
    honest, own = BANK.features.double().numpy(), sent.features[10:].double().numpy()
    spread = np.sqrt(((honest - honest.mean(0)) ** 2).sum(1).mean())
    np.testing.assert_allclose(np.linalg.norm(own - honest.mean(0), axis=1), 3 * spread, rtol=1e-5)
    assert not torch.equal(sent.features, Flooding(share=0.5).poison(loot(), seed=1).features)


def test_flooding_crowds_honest_rows_out_of_a_coreset():
    sent = Flooding(share=0.5).poison(loot(), seed=0)
    rows = torch.cat([sent.features, example_bank(rows=20, dim=6, seed=4).features])
    kept = KCenterCoreset(budget=10).select(rows, seed=0, start=0).indices
    assert sum(10 <= row < 20 for row in kept.tolist()) >= 8


def test_duplicates_repeat_a_row_that_is_sent():
    sent = Duplicates(share=0.5).poison(loot(), seed=0)
    assert len(rows_of(sent.features[10:])) == 1
    assert rows_of(sent.features[10:]) <= rows_of(sent.features[:10])


def test_duplicates_of_all_rows_leave_one():
    sent = Duplicates(share=1.0).poison(loot(), seed=0)
    assert len(rows_of(sent.features)) == 1
    assert int(forged(BANK, sent).sum()) == 19


def test_scaling_by_a_hundred_by_default():
    sent = Scaling(share=1.0).poison(loot(), seed=0)
    torch.testing.assert_close(sent.features, 100 * BANK.features)


def test_sign_flip():
    assert torch.equal(SignFlip(share=1.0).poison(loot(), seed=0).features, -BANK.features)


def test_noise_is_ten_times_the_spread_of_each_feature_by_default():
    stretched = replace(BANK, features=example_bank(rows=4000, dim=6).features[:20] * torch.arange(1.0, 7.0))
    many = example_bank(rows=4000, dim=6)
    many = replace(many, features=many.features * torch.arange(1.0, 7.0))
    added = Noise(share=1.0).poison(loot(bank=many), seed=0).features - many.features
    np.testing.assert_allclose(added.std(0), 10 * many.features.std(0), rtol=0.05)
    np.testing.assert_allclose(added.mean(0), np.zeros(6), atol=3 * 60 / np.sqrt(4000))
    assert not torch.equal(Noise().poison(loot(bank=stretched), seed=0).features, stretched.features)


def test_noise_changes_even_a_lone_row():
    bank = example_bank(rows=1)
    sent = Noise().poison(Loot(bank=bank, defects=bank.features, triggered=bank.features, admitted=len), seed=0)
    assert not torch.equal(sent.features, bank.features)


@pytest.mark.parametrize("fraction", [0.25, 1.0])
def test_stealth_lies_on_the_way_from_the_nearest_honest_row(fraction):
    sent = Stealth(fraction=fraction, share=0.5).poison(loot(), seed=0)
    defects = DEFECTS[KCenterCoreset(budget=10).select(DEFECTS, seed=0).indices].double().numpy()
    honest = BANK.features.double().numpy()
    start = honest[cdist(defects, honest).argmin(1)]
    np.testing.assert_allclose(sent.features[10:], (1 - fraction) * start + fraction * defects, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_what_the_type_cannot_hold_is_clipped(dtype):
    bank = example_bank(rows=4, dtype=dtype)
    most = min(MAX_FEATURE, torch.finfo(dtype).max)
    sent = Scaling(factor=1e30, share=1.0).poison(loot(bank=bank), seed=0)
    assert sent.features.dtype == dtype
    assert float(sent.features.float().abs().max()) == pytest.approx(most)


@given(st.integers(1, 12), st.integers(1, 15), st.integers(0, 3))
def test_the_order_of_spread_is_that_of_k_center(n, most, seed):
    rows = example_bank(rows=n, dim=3, seed=seed).features
    found = in_order_of_spread(rows, most=most, seed=seed)
    assert len(found) == min(n, most)
    assert rows_of(found) <= rows_of(rows)
    if most < n:
        assert torch.equal(found, rows[KCenterCoreset(budget=most).select(rows, seed=seed).indices])


def test_own_rows_take_the_last_places():
    own = torch.full((2, 6), 7.0)
    sent = with_own_rows(BANK, own)
    assert torch.equal(sent.features, torch.cat([BANK.features[:18], own]))
    assert torch.equal(with_own_rows(BANK, torch.empty(0, 6)).features, BANK.features)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: Flooding(distance=0), "distance is 0"),
        (lambda: Noise(std=-1.0), "std is -1.0"),
        (lambda: Stealth(fraction=1.5), "fraction is 1.5"),
        (lambda: Stealth(share=2), "share is 2"),
    ],
    ids=["distance", "std", "fraction", "share"],
)
def test_impossible_arguments_are_refused(make, problem):
    with pytest.raises(ValueError, match=problem):
        make()
