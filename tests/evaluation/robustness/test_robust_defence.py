"""A chain of screenings before a strategy: each sees what is left, and what it refuses is excluded."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalib_federated.evaluation.robustness.defence import Defence
from anomalib_federated.evaluation.robustness.loot import RobustnessError
from anomalib_federated.interfaces.screening import Refusal, Screening
from anomalib_federated.interfaces.screening_chain import banks_left
from anomalib_federated.registry import PluginError
from anomalib_federated.testing import example_bank

HERE = "test_robust_defence"


class Above(Screening):
    """Refuses rows whose first feature lies above a limit, and remembers how many it saw of each site."""

    def __init__(self, *, limit=0.0):
        self.limit = limit

    def screen(self, banks):
        SEEN.append({bank.sites[0]: len(bank) for bank in banks})
        masks = {bank.sites[0]: bank.features[:, 0] > self.limit for bank in banks}
        return [Refusal(site=site, rows=rows, reason="too far") for site, rows in masks.items() if rows.any()]


SEEN: list[dict[str, int]] = []


def above(limit):
    return {"class_path": f"{HERE}.Above", "init_args": {"limit": limit}}


def banks():
    return [example_bank(site="a", rows=30), example_bank(site="b", rows=20, seed=1, offset=4.0)]


def test_each_screening_sees_what_those_before_it_left():
    SEEN.clear()
    sent = banks()
    passed = Defence(screening=(above(4.0), above(0.0))).let_in(sent)
    first = {bank.sites[0]: int((bank.features[:, 0] <= 4).sum()) for bank in sent}
    assert SEEN[0] == {"a": 30, "b": 20}
    assert SEEN[1:] == [{site: rows for site, rows in first.items() if rows}]
    for bank in sent:
        assert torch.equal(passed[bank.sites[0]], bank.features[:, 0] <= 0)


@settings(max_examples=25)
@given(st.lists(st.floats(-1, 5), max_size=3))
def test_nothing_is_in_the_bank_that_was_refused(limits):
    sent = banks()
    defence = Defence(strategy="concatenate", screening=tuple(map(above, limits)))
    passed = defence.let_in(sent)
    if not any(mask.any() for mask in passed.values()):
        return
    merged = defence.merge(sent, passed)
    assert float(merged.features[:, 0].max()) <= min(limits, default=torch.inf)
    assert len(merged) == sum(int(mask.sum()) for mask in passed.values())


def test_the_order_of_banks_does_not_matter():
    defence = Defence(strategy="concatenate", screening=(above(0.5),))
    forward, backward = (defence.merge(each, defence.let_in(each)) for each in (banks(), banks()[::-1]))
    assert forward.to_bytes() == backward.to_bytes()


def test_a_site_of_which_all_is_refused_is_left_out():
    sent = banks()
    passed = {"a": torch.ones(30, dtype=torch.bool), "b": torch.zeros(20, dtype=torch.bool)}
    assert [bank.sites for bank in banks_left(sent, passed)] == [("a",)]
    assert banks_left(sent, passed)[0] is sent[0]


def test_a_defence_that_refuses_everything_is_told():
    defence = Defence(screening=(above(-100.0),))
    with pytest.raises(RobustnessError, match="refuses all rows"):
        defence.merge(banks(), defence.let_in(banks()))


def test_unknown_plugins_are_told():
    with pytest.raises(PluginError, match="no screening plugin named 'quorom'"):
        Defence(screening=("quorom",)).chain()
    with pytest.raises(PluginError, match="no strategy plugin named 'krum'"):
        Defence(strategy="krum").make_strategy()
