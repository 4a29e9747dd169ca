"""New images for a bank: nothing is lost, and what is said of the patches that are gone is true."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalib_federated import registry
from anomalib_federated.bank import Contribution, MemoryBank
from anomalib_federated.federation.update import update_bank
from anomalib_federated.selection.joined_rows import JoinedRows
from anomalib_federated.selection.rows import TensorRows
from anomalib_federated.testing import example_bank
from anomalib_federated.testing.privacy import example_report

DIM = 8


def k_center(budget):
    return registry.build("coreset", "k_center", budget=budget)


def patches(count, seed, *, offset=0.0, dim=DIM):
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(seed)) + offset


def bank_of(features, budget, *, dtype=torch.float32):
    """What a site keeps of some patches: selected as sites do, put together by hand."""
    selection = k_center(budget).select(features, seed=0)
    count = len(selection.indices)
    zeros = torch.zeros(count, dtype=torch.int32)
    contribution = Contribution(
        site="plant-a",
        category="screw",
        images=3,
        patches=len(features),
        rows=count,
        coreset="k_center",
        covering_radius=selection.radius,
        mean_distance=selection.mean_distance,
        passes=selection.passes,
        seconds=selection.seconds,
    )
    return MemoryBank(
        features=features[selection.indices].to(dtype),
        row_category=zeros,
        row_site=zeros.clone(),
        weights=selection.weights,
        categories=("screw",),
        sites=("plant-a",),
        space=example_bank(dim=features.shape[1]).space,
        contributions=(contribution,),
        coresets={"screw": "k_center"},
        covering_radius={"screw": selection.radius},
    )


def distances(features, bank):
    """Of every patch to its nearest row, by brute force in double precision."""
    return (features.double()[:, None] - bank.features.double()[None]).norm(dim=2).amin(1)


@settings(max_examples=40, deadline=None)
@given(
    old=st.integers(1, 60),
    new=st.integers(1, 60),
    rows=st.integers(1, 30),
    budget=st.integers(1, 40),
    dtype=st.sampled_from([torch.float32, torch.float16]),
    offset=st.sampled_from([0.0, 3.0, 300.0]),
    seed=st.integers(0, 999),
)
def test_the_bound_holds_over_old_and_new_patches_and_no_weight_is_lost(*, old, new, rows, budget, dtype, offset, seed):
    before, after = patches(old, seed, offset=offset), patches(new, seed + 1, offset=offset / 2)
    bank = bank_of(before, rows, dtype=dtype)
    updated = update_bank(bank, after, images=2, coreset=k_center(budget), method="k_center", seed=seed)
    measured = distances(torch.cat([before, after]), updated)
    (item,) = updated.contributions
    assert float(measured.max()) <= item.covering_radius * (1 + 1e-5) + 1e-5
    assert float(measured.mean()) <= item.mean_distance * (1 + 1e-5) + 1e-5
    assert updated.covering_radius == {"screw": item.covering_radius}
    assert float(updated.weights.sum()) == old + new
    assert (item.images, item.patches, item.rows) == (5, old + new, len(updated))
    assert len(updated) == min(budget, len(bank) + new)
    assert updated.features.dtype == dtype


def test_the_bound_is_the_radius_where_nothing_is_dropped():
    before, after = patches(40, 0), patches(10, 1)
    bank = bank_of(before, 20)
    updated = update_bank(bank, after, images=1, coreset=k_center(1000), method="k_center")
    assert len(updated) == 30
    assert updated.covering_radius["screw"] == bank.covering_radius["screw"]
    assert updated.weights.tolist() == [*bank.weights.tolist(), *[1.0] * 10]


def test_far_new_patches_are_taken_up_and_the_old_rows_weights_go_to_their_nearest():
    before, after = patches(50, 0), patches(20, 1, offset=100.0)
    bank = bank_of(before, 10)
    updated = update_bank(bank, after, images=1, coreset=k_center(4), method="k_center")
    far = updated.features.mean(1) > 50
    assert 0 < int(far.sum()) < 4
    assert float(updated.weights[far].sum()) == 20
    kept = {
        row.numpy().tobytes(): weight for row, weight in zip(updated.features, updated.weights.tolist(), strict=True)
    }
    expected = dict.fromkeys(kept, 0.0)
    candidates = torch.cat([bank.features, after])
    weights = [*bank.weights.tolist(), *[1.0] * 20]
    owner = (candidates.double()[:, None] - updated.features.double()[None]).norm(dim=2).argmin(1)
    for position, weight in zip(owner.tolist(), weights, strict=True):
        expected[updated.features[position].numpy().tobytes()] += weight
    assert kept == expected


def test_every_row_was_an_old_row_or_is_a_new_patch_and_seeds_repeat():
    before, after = patches(50, 0), patches(20, 1)
    bank = bank_of(before, 10)
    digest = bank.digest
    first, second = (
        update_bank(bank, after, images=1, coreset=k_center(7), method="k_center", seed=5) for _ in range(2)
    )
    assert first.digest == second.digest
    known = {row.numpy().tobytes() for row in torch.cat([bank.features, after])}
    assert {row.numpy().tobytes() for row in first.features} <= known
    assert bank.digest == digest


def test_an_update_says_so_once():
    bank = example_bank()
    once = update_bank(bank, patches(9, 0), images=1, coreset=k_center(9), method="k_center")
    twice = update_bank(once, patches(9, 1), images=1, coreset=k_center(9), method="k_center")
    assert once.coresets == twice.coresets == {"screw": "k_center, updated"}
    assert twice.contributions[0].images == bank.contributions[0].images + 2
    assert MemoryBank.from_bytes(twice.to_bytes(), source="here").digest == twice.digest


def test_equal_patches_are_no_trouble():
    bank = replace(example_bank(rows=4), features=torch.ones(4, DIM))
    updated = update_bank(bank, torch.ones(9, DIM), images=1, coreset=k_center(3), method="k_center")
    assert float(updated.weights.min()) > 0
    assert float(updated.weights.sum()) == float(bank.weights.sum()) + 9
    assert updated.covering_radius == bank.covering_radius


def untold(bank):
    return replace(bank, contributions=tuple(replace(item, mean_distance=None) for item in bank.contributions))


@pytest.mark.parametrize(
    ("bank", "arguments", "message"),
    [
        (MemoryBank.merge([example_bank(site="a"), example_bank(site="b")]), {}, "sites a, b .*then merge"),
        (MemoryBank.merge([example_bank(), example_bank(category="nut")]), {}, "categories screw, nut"),
        (example_bank().select(torch.arange(4)), {}, "was not measured, so it cannot be updated"),
        (replace(example_bank(), covering_radius={}), {}, "was not measured, so it cannot be updated"),
        (untold(example_bank()), {}, "was not measured, so it cannot be updated"),
        (
            replace(example_bank(), privacy={"plant-a": example_report(epsilon=2.0)}),
            {},
            "would not be true of new ones",
        ),
        (replace(example_bank(), row_place=torch.rand(16, 2)), {}, "by places or a projection of its own"),
        (example_bank(), {"features": torch.ones(3, 7)}, "Rows of 8 and 7 dimensions"),
        (example_bank(), {"features": torch.ones(0, 8)}, "n and d >= 1"),
        (example_bank(), {"features": torch.full((3, 8), torch.nan)}, "NaN, infinite .* in row 0"),
        (example_bank(dtype=torch.float16), {"features": torch.full((3, 8), 1e6)}, "infinite"),
        (example_bank(), {"images": 0}, "number of new images is 0"),
        (example_bank(), {"images": True}, "number of new images is True"),
        (example_bank(), {"coreset": k_center(0.5)}, "a share of 0.5"),
        (example_bank(), {"method": "a/b"}, "name of a folder"),
    ],
)
def test_what_cannot_be_updated_is_refused(bank, arguments, message):
    given = {"features": patches(5, 0), "images": 1, "coreset": k_center(30), "method": "k_center"} | arguments
    with pytest.raises(ValueError, match=message):
        update_bank(bank, given.pop("features"), **given)


@settings(max_examples=50, deadline=None)
@given(counts=st.lists(st.integers(0, 9), min_size=1, max_size=5).filter(any), data=st.data())
def test_joined_rows_are_the_rows_below_each_other(counts, data):
    parts = [patches(count, number) for number, count in enumerate(counts)]
    joined, whole = JoinedRows(*map(TensorRows, parts)), torch.cat(parts)
    begin = data.draw(st.integers(0, len(whole) - 1))
    end = data.draw(st.integers(begin + 1, len(whole)))
    assert torch.equal(joined.read(slice(begin, end)), whole[begin:end])
    indices = torch.tensor(data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1)))
    assert torch.equal(joined.take(indices), whole[indices])
    holding = next(part for part in parts if len(part))
    assert joined.where(len(holding) - 1) == f"row {len(holding) - 1}"
    assert joined.where(len(whole) - 1) == f"row {[count for count in counts if count][-1] - 1}"
