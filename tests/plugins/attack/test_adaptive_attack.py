"""An attacker who knows the defence goes exactly as far as it lets him."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from anomalib_federated.interfaces.attack import Loot, forged
from anomalib_federated.testing import example_bank
from anomalib_federated_plugins.attack.adaptive import Adaptive
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
    """Only defects with a positive first feature are ever admitted, at any fraction: half of many."""
    bank = example_bank(rows=30, dim=4, offset=-20.0)  # all honest rows are far on the other side
    side = torch.where(torch.arange(80) % 2 == 0, 1.0, -1.0)
    defects = DEFECTS * side[:, None]

    def positive(sent):
        return (sent.features[:, 0] > 0) | (sent.features[:, 0] < -10)

    given = Loot(bank=bank, defects=defects, triggered=defects, admitted=positive)
    sent = Adaptive(share=0.5, steps=1).poison(given, seed=0)
    own = sent.features[forged(bank, sent)]
    assert len(own) == 15
    assert bool((own[:, 0] > 0).logical_or(own[:, 0] < -10).all())


def test_nothing_is_sent_of_what_is_never_admitted():
    nothing = loot(lambda bank: torch.zeros(len(bank), dtype=torch.bool))
    assert torch.equal(Adaptive().poison(nothing, seed=0).features, BANK.features)


def test_a_defence_that_judges_sites_is_met_with_fewer_rows():
    """The site is refused if more than four of its rows are long: one by one all would pass."""

    def few_long_rows(bank):
        passes = int((bank.features.norm(dim=1) > 8).sum()) <= 4
        return torch.full((len(bank),), passes)

    sent = Adaptive(share=0.5, steps=3).poison(loot(few_long_rows), seed=0)
    assert bool(few_long_rows(sent).all())
    assert int(forged(BANK, sent).sum()) > 0


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
