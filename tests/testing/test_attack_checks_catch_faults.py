"""The conformance checks of attacks: an attack with one fault fails, and at the check that is about this fault."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from anomalib_federated.interfaces.attack import Attack
from anomalib_federated.testing import check_plugin, checks
from anomalib_federated_plugins.attack.flooding import Flooding
from anomalib_federated_plugins.attack.own_rows import with_own_rows
from anomalib_federated_plugins.attack.whitelisting import Whitelisting
from tests.testing.faults import faults

FAULTS, fault = faults()


@fault("fits_the_interface")
class NotAnAttack:
    pass


@fault("fits_the_interface")
class TakesNoSeed(Whitelisting):
    def poison(self, loot):
        return super().poison(loot, seed=0)


@fault("can_be_made_without_arguments")
class NeedsMore(Whitelisting):
    def __init__(self, *, more, share=0.5):
        super().__init__(share=share)


@fault("the_loot_stays_unchanged")
class WritesIntoTheBank(Whitelisting):
    def poison(self, loot, *, seed):
        loot.bank.features[-1] = 9.0
        return super().poison(loot, seed=seed)


@fault("the_loot_stays_unchanged")
class WritesIntoTheDefects(Whitelisting):
    def poison(self, loot, *, seed):
        loot.defects[0] += 1
        return super().poison(loot, seed=seed)


@fault("a_share_can_be_given")
class HasItsOwnShare(Whitelisting):
    def __init__(self, *, share=0.5):
        super().__init__(share=share)
        self.share = 0.5


@fault("impossible_shares_are_refused")
class TakesAnyShare(Whitelisting):
    def __init__(self, *, share=0.5):
        try:
            super().__init__(share=share)
        except ValueError:
            super().__init__(share=0.5)


@fault("the_bank_is_of_the_same_site_category_and_space")
class SpeaksForAnother(Whitelisting):
    def poison(self, loot, *, seed):
        bank = super().poison(loot, seed=seed)
        items = tuple(replace(item, site="plant-z") for item in bank.contributions)
        return replace(bank, sites=("plant-z",), contributions=items)


@fault("the_bank_is_of_the_same_site_category_and_space")
class OfAnotherNetwork(Whitelisting):
    def poison(self, loot, *, seed):
        bank = super().poison(loot, seed=seed)
        return replace(bank, space=replace(bank.space, weights="1" * 64))


@fault("no_more_rows_are_sent")
class SendsTooMuch(Whitelisting):
    def poison(self, loot, *, seed):
        bank = super().poison(loot, seed=seed)
        twice = {name: torch.cat([getattr(bank, name)] * 2) for name in ("features", "row_category", "row_site")}
        items = tuple(replace(item, rows=2 * len(bank)) for item in bank.contributions)
        return replace(bank, **twice, weights=bank.weights.repeat(2) / 2, contributions=items)


@fault("the_bank_passes_the_checks_on_arrival")
class SendsFewerThanItSays(Whitelisting):
    def poison(self, loot, *, seed):
        bank = super().poison(loot, seed=seed)
        return bank.select(torch.arange(max(1, len(bank) - 1)))


@fault("the_bank_passes_the_checks_on_arrival")
class WeighsTooMuch(Whitelisting):
    def poison(self, loot, *, seed):
        bank = super().poison(loot, seed=seed)
        return replace(bank, weights=100 * bank.weights)


@fault("the_bank_passes_the_checks_on_arrival")
class SendsSinglePrecision(Whitelisting):
    def poison(self, loot, *, seed):
        return super().poison(loot, seed=seed).to(torch.float32)


@fault("the_share_is_kept_to")
class IsGreedy(Whitelisting):
    def poison(self, loot, *, seed):
        return with_own_rows(loot.bank, loot.defects[: self.rows(len(loot.bank)) + 1][: len(loot.bank)])


@fault("something_is_forged")
class IsHonest(Attack):
    def poison(self, loot, *, seed):
        return loot.bank


@fault("equal_seeds_give_equal_banks")
class RemembersItsLastCall(Flooding):
    calls = 0

    def poison(self, loot, *, seed):
        self.calls += 1
        return super().poison(loot, seed=seed + self.calls)


@fault("the_global_random_state_plays_no_part")
class RollsTheDice(Flooding):
    def poison(self, loot, *, seed):
        np.random.seed(seed)
        return super().poison(loot, seed=seed)


@pytest.mark.parametrize(("check", "plugin"), FAULTS)
def test_a_fault_is_caught_by_its_check(check, plugin):
    with pytest.raises(AssertionError, match=rf"^{plugin.__name__} fails the attack check '{check}': \w+"):
        check_plugin("attack", plugin)


def test_every_check_catches_some_fault():
    assert {fault.values[0] for fault in FAULTS} == {check.__name__ for check in checks("attack")}


@pytest.mark.parametrize("check", checks("attack"), ids=lambda check: check.__name__)
def test_a_faultless_attack_passes(check):
    check(Whitelisting)
