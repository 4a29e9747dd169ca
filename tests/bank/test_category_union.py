"""The rows of a category of several sites, left where they are, against the same rows in one tensor."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalib_federated.bank import BankError, MemoryBank
from anomalib_federated.bank.category_union import CategoryUnion
from anomalib_federated.selection.distances import nearest
from anomalib_federated.testing import example_bank
from anomalib_federated_plugins.coreset.k_center import KCenterCoreset
from anomalib_federated_plugins.strategy.federated_coreset import FederatedCoreset

CATEGORIES = ("bolt", "nut", "screw")
HOLDINGS = st.lists(st.dictionaries(st.sampled_from(CATEGORIES), st.integers(1, 9), min_size=1), min_size=1, max_size=4)
"""Per site, rows per category, in any order."""


def banks_of(holdings, dtype=torch.float16):
    return [
        MemoryBank.merge(
            example_bank(rows=rows, site=f"plant-{number}", category=name, seed=10 * number + rows, dtype=dtype)
            for name, rows in held.items()
        )
        for number, held in enumerate(holdings)
    ]


@settings(max_examples=50, deadline=None)
@given(holdings=HOLDINGS, data=st.data())
def test_rows_that_are_kept_are_those_of_the_banks_below_each_other(holdings, data):
    banks = banks_of(holdings)
    category = data.draw(st.sampled_from(sorted({name for held in holdings for name in held})))
    union, whole = CategoryUnion(banks, category), MemoryBank.merge(banks).for_category(category)
    assert torch.equal(union.rows.read(slice(0, len(union))), whole.features.float())
    assert torch.equal(union.weights, whole.weights)
    assert union.coreset == whole.coresets[category]
    for site, numbers in union.numbers.items():
        assert torch.equal(numbers, (whole.row_site == whole.sites.index(site)).nonzero().flatten())
    indices = torch.tensor(data.draw(st.lists(st.integers(0, len(union) - 1), min_size=1, unique=True)))
    kept = union.keep(indices, weights=whole.weights[indices], coreset=union.coreset)
    assert kept.digest == whole.select(indices).digest


@settings(max_examples=25, deadline=None)
@given(holdings=HOLDINGS, budget=st.integers(1, 12), seed=st.integers(0, 3))
def test_a_federated_coreset_is_that_of_all_rows_in_one_tensor(holdings, budget, seed):
    banks = banks_of(holdings)
    union, parts = MemoryBank.merge(banks), []
    for category in sorted(union.categories):
        whole = union.for_category(category)
        indices = KCenterCoreset(budget=budget).select(whole.features, seed=seed).indices
        owner = nearest(whole.features, whole.features[indices])[1]
        owner[indices] = torch.arange(len(indices))
        weights = torch.zeros(len(indices)).index_add_(0, owner, whole.weights)
        method = f"k_center of {whole.coresets[category]}"
        parts.append(replace(whole.select(indices), weights=weights, coresets={category: method}))
    assert FederatedCoreset(budget=budget, seed=seed).merge(banks).digest == MemoryBank.merge(parts).digest


def test_nothing_of_the_banks_is_copied():
    banks = banks_of([{"nut": 3, "screw": 4}, {"screw": 2}])
    union = CategoryUnion(banks, "screw")
    for bank in banks:
        mine = union.banks[bank.sites[0]].features
        assert mine.untyped_storage().data_ptr() == bank.features.untyped_storage().data_ptr()


def test_one_bank_in_single_precision_makes_the_result_so():
    banks = [*banks_of([{"screw": 3}]), example_bank(site="z", rows=2)]
    assert CategoryUnion(banks, "screw").keep(torch.tensor([0]), weights=torch.ones(1), coreset="x").features.dtype == (
        torch.float32
    )


@pytest.mark.parametrize("indices", [[0, 0], [7], [-1], []])
def test_impossible_row_numbers_are_refused(indices):
    union = CategoryUnion(banks_of([{"screw": 4}, {"screw": 3}]), "screw")
    with pytest.raises(BankError, match="row"):
        union.keep(torch.tensor(indices, dtype=torch.int64), weights=torch.ones(len(indices)), coreset="x")
