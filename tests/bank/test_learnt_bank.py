"""A bank of what noisy sums say: rows of nobody in particular, under the promise of all."""

import pytest
import torch

from anomalib_federated.bank import BankError, MemoryBank
from anomalib_federated.bank.learnt_bank import bank_of_learnt
from anomalib_federated.privacy.learnt import Learnt
from anomalib_federated.testing import example_bank
from anomalib_federated.testing.privacy import example_report

REPORT = example_report(epsilon=2.0)
FOUND = {
    "screw": Learnt(rows=torch.randn(6, 8), pictures=2.6, places=torch.rand(6, 2), projection=torch.randn(8, 2)),
    "nut": Learnt(rows=torch.randn(3, 8), pictures=19.4),
    "bolt": Learnt(rows=torch.randn(1, 8), pictures=-7.0),
}


def make(learnt, **changes):
    settings = {"space": example_bank().space, "method": "sums", "site": "all plants", "privacy": {}}
    return bank_of_learnt(learnt, **settings | changes)


def test_each_category_is_what_was_learnt_of_it():
    bank = make(FOUND, privacy={"all plants": REPORT})
    assert (bank.categories, bank.sites, bank.privacy) == (
        ("bolt", "nut", "screw"),
        ("all plants",),
        {"all plants": REPORT},
    )
    for category, learnt in FOUND.items():
        own = bank.for_category(category)
        assert torch.equal(own.features, learnt.rows)
        assert (own.row_place is None) == (learnt.places is None)
        assert own.row_place is None or torch.equal(own.row_place, learnt.places)
        assert set(own.projections) == ({category} if learnt.projection is not None else set())
    assert torch.equal(bank.projections["screw"], FOUND["screw"].projection)
    assert MemoryBank.from_bytes(bank.to_bytes(), source="here").digest == bank.digest


def test_no_more_is_told_than_the_noise_does():
    told = {item.category: (item.images, item.patches, item.rows) for item in make(FOUND).contributions}
    assert told == {"screw": (3, 6, 6), "nut": (19, 19, 3), "bolt": (1, 1, 1)}
    for item in make(FOUND).contributions:
        assert (item.covering_radius, item.mean_distance, item.seconds, item.coreset) == (None, None, 0.0, "sums")
    weights = make(FOUND).for_category("nut").weights
    assert len(weights.unique()) == 1
    assert float(weights.sum()) == pytest.approx(19)


def test_what_does_not_fit_is_refused():
    with pytest.raises(BankError, match="no bank to merge"):
        make({})
    with pytest.raises(BankError, match="5 dimensions, but the feature space says 8"):
        make({"screw": Learnt(rows=torch.zeros(2, 5), pictures=2.0)})
    with pytest.raises(BankError, match="site 'north', which it does not hold"):
        make(FOUND, privacy={"north": REPORT})
    with pytest.raises(BankError, match="images"):
        make({"screw": Learnt(rows=torch.zeros(2, 8), pictures=1e30)})
