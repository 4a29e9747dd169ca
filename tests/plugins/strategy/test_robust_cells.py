"""Median and trimmed mean over sites, of cells."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import trim_mean

from anomalib_federated.bank import MemoryBank
from anomalib_federated.interfaces.strategy import FederationError
from anomalib_federated.testing import check_plugin, example_bank
from anomalib_federated_plugins.strategy.cell_statistics import cell_statistics
from anomalib_federated_plugins.strategy.median import Median
from anomalib_federated_plugins.strategy.robust_cells import trimmed_mean
from anomalib_federated_plugins.strategy.trimmed_mean import TrimmedMean


def site(name, *, places, rows=16, weight=1.0, seed=0):
    """A bank with as many rows near each of some places on a line as given, along the first of two dimensions."""
    at = torch.tensor([float(place) for place in places]).repeat_interleave(rows)
    features = 0.1 * torch.randn(len(at), 2, generator=torch.Generator().manual_seed(seed))
    features[:, 0] += at
    bank = example_bank(site=name, rows=len(at), dim=2, seed=seed)
    return replace(bank, features=features, weights=torch.full((len(at),), weight))


def places_kept(bank):
    return set((bank.features[:, 0] / 10).round().int().mul(10).tolist())


class SmallMedian(Median):
    """The default budget is larger than any bank of the checks; here rows are dropped."""

    def __init__(self):
        super().__init__(budget=5, seed=1)


class SmallTrimmedMean(TrimmedMean):
    """Likewise, with many cells and a share as budget."""

    def __init__(self):
        super().__init__(budget=0.4, trim=0.4, cells=1000)


@pytest.mark.parametrize("plugin", [SmallMedian, SmallTrimmedMean])
def test_they_keep_the_promises_of_strategies_where_rows_are_dropped(plugin):
    check_plugin("strategy", plugin)


@settings(max_examples=30)
@given(sites=st.integers(1, 9), share=st.floats(0.01, 0.49), seed=st.integers(0, 999))
def test_the_trimmed_mean_is_scipys(sites, share, seed):
    values = torch.randn(sites, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    cut = int(share * sites)
    assert trimmed_mean(values, cut).numpy() == pytest.approx(trim_mean(values.numpy(), cut / sites + 1e-9, axis=0))
    middle = trimmed_mean(values, Median().cut(sites))
    assert middle.numpy() == pytest.approx(np.median(values.numpy(), axis=0))


@pytest.mark.parametrize(
    ("trim", "cuts"), [(0.2, [0, 0, 1, 1, 1, 1, 1, 1, 1, 2]), (0.49, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4])], ids=str
)
def test_how_many_sites_are_trimmed(trim, cuts):
    assert [TrimmedMean(trim=trim).cut(sites) for sites in range(1, 11)] == cuts


@pytest.mark.parametrize("strategy", [Median(), TrimmedMean()], ids=["median", "trimmed_mean"])
def test_a_place_that_one_site_alone_sees_goes_with_its_rows(strategy):
    banks = [site(name, places=[0, 10], seed=seed) for seed, name in enumerate("abcde")]
    bad = site("z", places=[0, 10, 100], seed=9)
    merged = strategy.merge([*banks, bad])
    assert places_kept(merged) == {0, 10}
    assert float(merged.weights.sum()) == sum(float(bank.weights.sum()) for bank in [*banks, bad])


def test_the_median_asks_for_half_of_the_sites_and_the_trimmed_mean_for_two():
    shared = {"a": [0, 50, 90] * 2, "b": [0, 50, 90] * 2, "c": [0, 50] * 3, "d": [0] * 6, "e": [0] * 6, "f": [0] * 6}
    banks = [site(name, places=places, rows=40, seed=seed) for seed, (name, places) in enumerate(shared.items())]
    assert places_kept(Median(cells=60).merge(banks)) == {0, 50}
    assert places_kept(TrimmedMean(cells=60).merge(banks)) == {0, 50, 90}


@pytest.mark.parametrize("flood", ["rows", "weights", "spread"])
def test_a_flooding_site_has_its_part_of_the_cells_and_no_more(flood):
    banks = {name: site(name, places=[0, 10, 20], rows=20, seed=seed) for seed, name in enumerate("abcd")}
    flooding = {
        "rows": site("z", places=[5] * 100, rows=20, seed=8),
        "weights": site("z", places=[0, 10, 20], rows=20, weight=1e9, seed=8),
        "spread": site("z", places=range(0, 9000, 100), rows=2, seed=8),
    }[flood]
    found = cell_statistics({**banks, "z": flooding}, cells=40, seed=0)
    assert found.shares.shape == (5, 5)  # 60 rows of a middle site make 7 cells, of which each site has one
    assert found.shares.sum(1).tolist() == pytest.approx([1.0] * 5)
    assert places_kept(Median().merge([*banks.values(), flooding])) >= {0, 10, 20}


def test_statistics_are_those_of_each_sites_rows_in_each_cell():
    banks = {name: example_bank(site=name, rows=24, seed=seed, dim=3) for seed, name in enumerate("ab")}
    found = cell_statistics(banks, cells=6, seed=0)
    begin = 0
    for number, bank in enumerate(banks.values()):
        cell = found.cell[begin : begin + len(bank)]
        begin += len(bank)
        for each in range(found.shares.shape[1]):
            rows, weights = bank.features[cell == each].double(), bank.weights[cell == each].double()
            assert float(found.shares[number, each]) == pytest.approx(float(weights.sum() / bank.weights.sum()))
            expected = (rows * weights[:, None]).sum(0) / weights.sum() if len(rows) else torch.zeros(3)
            assert found.means[number, each].tolist() == pytest.approx(expected.tolist())


def test_rows_nearest_to_the_robust_centre_are_kept():
    """Four sites around 0 and one that pulls the mean: the median stays, and what is near it is kept."""
    banks = [site(name, places=[0], seed=seed, rows=15) for seed, name in enumerate("abcd")]
    bad = site("z", places=[0.9], seed=7, rows=15)
    merged = Median(budget=8, cells=1).merge([*banks, bad])
    assert len(merged) == 8
    assert "z" not in {merged.sites[number] for number in merged.row_site.tolist()}


@settings(max_examples=15)
@given(sites=st.integers(1, 5), budget=st.integers(1, 60), cells=st.integers(1, 40), seed=st.integers(0, 99))
def test_a_budget_is_kept_and_no_row_comes_twice(sites, budget, cells, seed):
    banks = [example_bank(site=f"s{number}", rows=16, seed=seed + number) for number in range(sites)]
    for strategy in (Median(budget=budget, cells=cells, seed=seed), TrimmedMean(budget=budget, cells=cells)):
        merged = strategy.merge(banks)
        assert 1 <= len(merged) <= budget
        assert len(torch.unique(merged.features, dim=0)) == len(merged)
        assert float(merged.weights.sum()) == pytest.approx(sum(float(bank.weights.sum()) for bank in banks), rel=1e-5)


def test_one_site_or_two_keep_everything_where_the_budget_allows():
    for count in (1, 2):
        banks = [site(name, places=[0, 99 * seed], seed=seed) for seed, name in enumerate("ab"[:count])]
        merged = Median().merge(banks)
        assert len(merged) == 32 * count
        assert sorted(merged.features.tolist()) == sorted(MemoryBank.merge(banks).features.tolist())


def test_sites_that_have_nothing_in_common_are_told():
    banks = [site(name, places=[1000 * seed], seed=seed, rows=64) for seed, name in enumerate("abc")]
    with pytest.raises(FederationError, match="Too few of the 3 sites with rows of category 'screw' see the same"):
        Median().merge(banks)


@pytest.mark.parametrize(
    ("plugin", "arguments", "told"),
    [
        (Median, {"budget": {"radius": 0.5}}, "Median covers no radius; give a number or a share"),
        (Median, {"cells": 0}, "cells is 0; give a whole number of at least 1"),
        (Median, {"cells": 2.5}, "cells is 2.5"),
        (TrimmedMean, {"trim": 0}, "trim is 0; give a number between 0 and 0.5"),
        (TrimmedMean, {"trim": 0.5}, "trim is 0.5"),
        (TrimmedMean, {"trim": True}, "trim is True"),
    ],
    ids=str,
)
def test_impossible_arguments_are_refused(plugin, arguments, told):
    with pytest.raises(ValueError, match=told):
        plugin(**arguments)
