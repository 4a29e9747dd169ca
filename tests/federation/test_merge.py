"""Merging stored site banks again: any order, and as if a site that is left out had never been there."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalib_federated.bank import BankError, MemoryBank
from anomalib_federated.federation.merge import merge_site_banks
from anomalib_federated.testing import example_bank
from anomalib_federated_plugins.strategy.concatenate import Concatenate
from anomalib_federated_plugins.strategy.federated_coreset import FederatedCoreset

SITES = ("a", "b", "c", "d")
BANKS = {site: example_bank(rows=6 + i, site=site, seed=i, offset=float(i)) for i, site in enumerate(SITES)}
BANKS["c"] = MemoryBank.merge([BANKS["c"], example_bank(rows=4, site="c", category="nut", seed=9)])


@settings(max_examples=40, deadline=None)
@given(
    order=st.permutations(SITES),
    again=st.permutations(SITES),
    without=st.sets(st.sampled_from(SITES), max_size=3),
    budget=st.integers(1, 40),
)
def test_a_site_left_out_leaves_no_trace_whatever_the_order(order, again, without, budget):
    merged = merge_site_banks([BANKS[site] for site in order], FederatedCoreset(budget=budget), without=without)
    never = merge_site_banks([BANKS[site] for site in again if site not in without], FederatedCoreset(budget=budget))
    assert merged.digest == never.digest
    assert not set(merged.sites) & without
    assert {item.site for item in merged.contributions} == set(SITES) - without
    sent = sum(float(BANKS[site].weights.sum()) for site in SITES if site not in without)
    assert float(merged.weights.sum()) == sent


def test_the_radius_of_a_merged_bank_is_not_known():
    merged = merge_site_banks(BANKS.values(), FederatedCoreset(budget=3))
    assert merged.covering_radius == {}
    assert merge_site_banks([BANKS["a"]], Concatenate()).covering_radius == {"screw": 0.5}


@pytest.mark.parametrize(
    ("banks", "without", "message"),
    [
        (BANKS.values(), ["a", "z"], "no bank of site 'z' to leave out; the sites are a, b, c, d"),
        ([BANKS["a"]], ["a"], "No bank is left"),
        ([], [], "No bank is left"),
        ([BANKS["a"], BANKS["a"]], [], "one bank of each site"),
        ([MemoryBank.merge([BANKS["a"], BANKS["b"]])], ["a"], r"several sites \(a, b\)"),
        ([BANKS["a"], example_bank(site="e", dim=4)], [], "of a and e were made by other settings: dim is 8 and 4"),
    ],
)
def test_banks_that_cannot_be_merged_are_refused(banks, without, message):
    with pytest.raises(BankError, match=message):
        merge_site_banks(banks, Concatenate(), without=without)


def test_weights_stay_whole_where_single_precision_would_lose_them():
    """2^24 + 1 is no float32: sums are rounded once, at the end."""
    rows = 300
    bank = example_bank(rows=rows)
    heavy = torch.full((rows,), 2.0**24)
    heavy[1:] = 1.0
    bank = MemoryBank(**{**vars(bank), "weights": heavy})
    (weight,) = FederatedCoreset(budget=1).merge([bank]).weights.tolist()
    assert weight == float(torch.tensor(2.0**24 + rows - 1))
