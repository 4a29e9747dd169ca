"""Budget shares by what each site saw, and nothing of one site decided by another."""

from dataclasses import replace

import pytest
import torch

from anomalib_federated.bank import MemoryBank
from anomalib_federated.testing import example_bank
from anomalib_federated_plugins.coreset.k_center import KCenterCoreset
from anomalib_federated_plugins.strategy.federated_coreset import FederatedCoreset
from anomalib_federated_plugins.strategy.weighted import Weighted


def seen(bank, *, images, patches):
    """The bank of a site that saw so much of its one category."""
    (item,) = bank.contributions
    return replace(bank, contributions=(replace(item, images=images, patches=patches),))


def banks():
    """By images a : b : c = 1 : 2 : 1, by patches 2 : 1 : 1; nuts at b only."""
    b = [
        seen(example_bank(rows=30, site="b", seed=2), images=20, patches=1000),
        example_bank(rows=6, site="b", category="nut", seed=3),
    ]
    return [
        seen(example_bank(rows=40, site="a", seed=1, offset=9.0), images=10, patches=2000),
        MemoryBank.merge(b),
        seen(example_bank(rows=20, site="c", seed=4, offset=-2.0), images=10, patches=1000),
    ]


def held(bank, category="screw"):
    own = bank.for_category(category)
    return {
        site: count
        for site, count in zip(own.sites, torch.bincount(own.row_site, minlength=9).tolist(), strict=False)
        if count
    }


@pytest.mark.parametrize(
    ("by", "budget", "expected"),
    [
        ("images", 20, {"a": 5, "b": 10, "c": 5}),
        ("patches", 20, {"a": 10, "b": 5, "c": 5}),
        ("images", 80, {"a": 30, "b": 30, "c": 20}),  # b and c send fewer than their shares
        ("images", 0.5, {"a": 11, "b": 23, "c": 11}),  # of 90 rows; 11.25, 22.5, 11.25
        ("patches", 1000, {"a": 40, "b": 30, "c": 20}),
        ("images", 3, {"a": 1, "b": 1, "c": 1}),
    ],
)
def test_shares_by_hand(by, budget, expected):
    merged = Weighted(budget=budget, by=by).merge(banks())
    assert held(merged) == expected
    assert set(held(merged, "nut")) == {"b"}


@pytest.mark.parametrize("seed", [0, 5])
def test_each_share_is_the_coreset_of_its_site_alone(seed):
    merged = Weighted(budget=20, seed=seed).merge(banks()).for_category("screw")
    for bank, share in zip(banks(), (5, 10, 5), strict=True):
        own = bank.for_category("screw").features
        expected = own[KCenterCoreset(budget=share).select(own, seed=seed).indices]
        number = merged.sites.index(bank.sites[0])
        assert torch.equal(merged.features[merged.row_site == number], expected)


def test_dropped_rows_leave_their_weight_to_the_nearest_row_kept():
    sent = MemoryBank.merge(banks()).for_category("screw")
    merged = Weighted(budget=12).merge(banks()).for_category("screw")
    owner = (sent.features[:, None].double() - merged.features[None].double()).norm(dim=2).argmin(1)
    expected = torch.zeros(12, dtype=torch.float64).index_add_(0, owner, sent.weights.double())
    assert torch.equal(merged.weights.double(), expected)


def test_one_site_gives_its_own_coreset():
    bank = banks()[0]
    alone, plain = (strategy(budget=9, seed=3).merge([bank]) for strategy in (Weighted, FederatedCoreset))
    assert torch.equal(alone.features, plain.features)
    assert torch.equal(alone.weights, plain.weights)


def test_a_target_radius_holds_at_each_site():
    merged = Weighted(budget={"radius": 3.0, "rows": 80}).merge(banks()).for_category("screw")
    assert len(merged) < 60
    for bank in banks():
        own = bank.for_category("screw").features
        kept = merged.features[merged.row_site == merged.sites.index(bank.sites[0])]
        assert float(torch.cdist(own, kept).amin(1).max()) <= 3.0 + 1e-4


def test_the_record_names_the_method():
    assert Weighted(budget=5, coreset="random").merge(banks()).coresets["screw"] == "weighted random of example"


def test_impossible_settings_are_refused():
    with pytest.raises(ValueError, match="weighs sites by 'rows'; give one of images, patches"):
        Weighted(by="rows")
    with pytest.raises(ValueError, match="2 rows cannot give each of 3 sites a row"):
        Weighted(budget=2).merge(banks())
