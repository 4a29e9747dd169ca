"""An attacker who knows the defence goes exactly as far as it lets him."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from anomalib_federated.interfaces.attack import Loot, forged
from anomalib_federated.testing import example_bank
from anomalib_federated_plugins.attack.adaptive import Adaptive, _admitted_together
from anomalib_federated_plugins.attack.whitelisting import Whitelisting

BANK = example_bank(rows=30, dim=4)
DEFECTS = example_bank(rows=80, dim=4, seed=1, offset=6.0).features


def loot(admitted, defects=DEFECTS):
    return Loot(bank=BANK, defects=defects, triggered=defects, admitted=admitted)


def shorter_than(limit):
    return lambda bank: bank.features.norm(dim=1) <= limit


def test_without_a_defence_it_is_whitelisting():
    free = loot(lambda bank: torch.ones(len(bank), dtype=torch.bool))
    assert torch.equal(Adaptive().poison(free, seed=2).features, Whitelisting().poison(free, seed=2).features)


def test_each_row_goes_as_far_as_it_may():
    limit, steps = 5.0, 8
    sent = Adaptive(steps=steps, share=0.5).poison(loot(shorter_than(limit)), seed=0)
    own = sent.features[forged(BANK, sent)]
    assert len(own) == 15
    assert float(own.norm(dim=1).max()) <= limit
    # A step further on its way, each would be refused: ways are no longer than from any row to any defect.
    longest = float(torch.cdist(BANK.features, DEFECTS).max())
    assert float(own.norm(dim=1).min()) > limit - longest / 2**steps


def test_what_is_admitted_whole_is_sent_whole():
    near, far = torch.full((5, 4), 1.0) + 0.1 * torch.arange(5.0)[:, None], torch.full((5, 4), 50.0)
    sent = Adaptive(share=0.5).poison(loot(shorter_than(5.0), torch.cat([far, near])), seed=0)
    own = {row.numpy().tobytes() for row in sent.features[forged(BANK, sent)]}
    assert {row.numpy().tobytes() for row in near} <= own


def test_dropped_rows_give_their_place_to_further_defects():
    """Of the defects, every second one lies where nothing is admitted, however small a part of the way it goes."""
    bank = replace(BANK, features=BANK.features.clamp(max=0))
    defects = DEFECTS * torch.where(torch.arange(80) % 2 == 0, 1.0, -1.0)[:, None]

    def admitted(sent):
        return (sent.features[:, 0] > 1) | ~forged(bank, sent)

    sent = Adaptive(share=0.5).poison(Loot(bank=bank, defects=defects, triggered=defects, admitted=admitted), seed=0)
    own = sent.features[forged(bank, sent)]
    assert len(own) == 15
    assert bool((own[:, 0] > 1).all())


def test_rows_that_are_refused_together_are_halved_until_they_are_not():
    def at_most_four(sent):
        return torch.full((len(sent),), int(forged(BANK, sent).sum()) <= 4)

    assert torch.equal(_admitted_together(loot(at_most_four), DEFECTS[:15]), DEFECTS[:3])


def test_rows_that_are_refused_beside_others_are_left_out():
    def all_but_the_longest_of_many(sent):
        norms = sent.features.norm(dim=1)
        own = forged(BANK, sent)
        return ~own | (norms < norms.max()) if int(own.sum()) > 2 else own | ~own

    kept = _admitted_together(loot(all_but_the_longest_of_many), DEFECTS[:5])
    order = DEFECTS[:5].norm(dim=1).argsort()
    assert {row.numpy().tobytes() for row in kept} == {row.numpy().tobytes() for row in DEFECTS[order[:2]]}


def test_nothing_is_sent_of_what_is_never_admitted():
    nothing = loot(lambda bank: torch.zeros(len(bank), dtype=torch.bool))
    assert torch.equal(Adaptive().poison(nothing, seed=0).features, BANK.features)


def test_a_defence_that_judges_sites_is_met_with_fewer_rows():
    """The site is refused if more than four of its rows are forged, wherever they are."""

    def few(bank):
        return torch.full((len(bank),), int(forged(BANK, bank).sum()) <= 4)

    sent = Adaptive(share=0.5).poison(loot(few), seed=0)
    own = {row.numpy().tobytes() for row in sent.features[forged(BANK, sent)]}
    assert len(own) == 3, "a quarter of 15"
    assert own <= {row.numpy().tobytes() for row in DEFECTS}, "and these go all the way"


def test_a_defence_that_judges_sites_by_their_mean_is_met_with_rows_that_hardly_move_it():
    def near(bank):
        return torch.full((len(bank),), bool((bank.features.mean(0) - BANK.features.mean(0)).norm() < 1.5))

    sent = Adaptive(share=0.5).poison(loot(near), seed=0)
    assert bool(near(sent).all())
    assert int(forged(BANK, sent).sum()) > 0


def test_what_is_sent_is_admitted_as_a_whole():
    """A quota lets eight in, and in a search by parts other eight every time."""

    def quota(bank):
        own = forged(BANK, bank)
        return ~own | (own.cumsum(0) <= 8)

    sent = Adaptive(share=0.5).poison(loot(quota), seed=0)
    assert int(forged(BANK, sent).sum()) == 8
    assert bool(quota(sent).all())


def test_it_asks_about_banks_that_it_could_send():
    asked = []

    def admitted(bank):
        asked.append(bank)
        return bank.features.norm(dim=1) < 6

    Adaptive().poison(loot(admitted), seed=0)
    assert asked
    assert all(len(bank) == len(BANK) and bank.sites == BANK.sites for bank in asked)
    assert all(int(forged(BANK, bank).sum()) <= 15 for bank in asked)
    assert all(np.isfinite(bank.features.numpy()).all() for bank in asked)


@pytest.mark.parametrize("steps", [0, 1.5, True])
def test_impossible_steps_are_refused(steps):
    with pytest.raises(ValueError, match="number of steps"):
        Adaptive(steps=steps)
