"""Rows in int8: how far they move, that they never move twice, and that nothing else is lost by it."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from flwr.app import RecordDict
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.torch import load, save

from anomalib_federated import messages
from anomalib_federated.bank import BankError, MemoryBank
from anomalib_federated.bank.quantised import ROUNDING, SMALLEST, as_quantised, quantise, quantised_bank, restore
from anomalib_federated.messages.agreement import META_BYTES, Agreement
from anomalib_federated.selection.finite import MAX_FEATURE
from anomalib_federated.testing import example_bank
from anomalib_federated_plugins.strategy.concatenate import Concatenate
from anomalib_federated_plugins.strategy.federated_coreset import FederatedCoreset

LARGEST = float(np.float32(MAX_FEATURE))


def agreement(bank, **settings):
    return Agreement(space=bank.space, dtype="int8", **settings)


# --- rounding -------------------------------------------------------------------------------------------------------

ROWS = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=6),
    elements=st.floats(-LARGEST, LARGEST, width=32)
    | st.floats(-1, 1, width=32)
    | st.floats(-(2.0**-98), 2.0**-98, width=32),
)


@settings(max_examples=100, deadline=None)
@given(ROWS)
def test_no_number_moves_farther_than_stated(rows):
    levels, scales = quantise(torch.from_numpy(rows))
    again = restore(levels, scales).numpy().astype(np.float64)
    assert (levels.dtype, scales.dtype) == (torch.int8, torch.float32)
    assert np.abs(levels.numpy().astype(int)).max() <= 127
    largest = np.abs(rows.astype(np.float64)).max(axis=1, keepdims=True)
    assert (np.abs(again - rows) <= np.maximum(ROUNDING * largest, SMALLEST)).all()


@settings(max_examples=100, deadline=None)
@given(ROWS)
def test_rounded_rows_stay_where_they_are(rows):
    once = restore(*quantise(torch.from_numpy(rows)))
    assert torch.equal(once.view(torch.int32), restore(*quantise(once)).view(torch.int32))
    assert as_quantised(once) is not None


def test_whatever_the_scale_is_rounding_again_finds_it():
    # All float32 numbers of one binade: in the others, all that follows is the same times a power of two.
    every = torch.arange(127 << 23, 128 << 23, dtype=torch.int32).view(torch.float32)[:, None]
    assert (float(every[0]), len(every)) == (1.0, 1 << 23)
    levels, scales = quantise(every)
    assert bool((levels == 127).all())
    assert torch.equal(quantise(restore(levels, scales))[1], scales)


def test_the_nearest_multiple_is_taken():
    rows = torch.from_numpy(np.random.default_rng(0).standard_normal((50, 7)).astype(np.float32))
    scales = rows.abs().max(1).values.double() / 127
    grid = (torch.arange(-127, 128).double()[None, None] * scales[:, None, None]).expand(50, 7, 255)
    nearest = grid.gather(2, (grid - rows.double()[:, :, None]).abs().argmin(2, keepdim=True))[:, :, 0]
    np.testing.assert_allclose(restore(*quantise(rows)), nearest, rtol=1e-6)


@pytest.mark.parametrize(
    "rows",
    [torch.randn(9, 4), torch.tensor([[-0.0, 1.0]]), torch.tensor([[1.0, 0.5]]), torch.ones(2, 3, dtype=torch.float16)],
)
def test_rows_on_no_grid_are_stored_as_they_are(rows):
    assert as_quantised(rows) is None


def test_one_row_off_the_grid_is_noticed_wherever_it_is():
    rows = restore(*quantise(torch.randn(9000, 2, generator=torch.Generator().manual_seed(0))))
    assert as_quantised(rows) is not None
    for row in (0, 4096, 8999):
        changed = rows.clone()
        changed[row, 1] += 1e-3
        assert as_quantised(changed) is None


# --- banks ----------------------------------------------------------------------------------------------------------


def test_files_and_messages_take_a_quarter_and_give_the_same_bank(tmp_path):
    bank = example_bank(rows=300, dim=160)
    rounded = agreement(bank).rounded(bank)
    path = rounded.save(tmp_path / "bank.safetensors")
    content = RecordDict(messages.bank_records(rounded))
    arrived = messages.bank_in(content, source="a")
    assert arrived.digest == rounded.digest == MemoryBank.load(path).digest
    assert arrived.features.dtype == torch.float32
    assert content["bank.000000"]["data"] == path.read_bytes() == arrived.to_bytes()
    assert load(path.read_bytes())["features"].dtype == torch.int8
    saved = len(bank.to_bytes()) - len(rounded.to_bytes())
    assert saved == pytest.approx(300 * (160 * 3 - 4), abs=200)


def test_what_is_made_of_rounded_rows_is_stored_as_small():
    banks = [quantised_bank(example_bank(rows=40, dim=64, site=site, seed=seed)) for seed, site in enumerate("ab")]
    merged = [Concatenate().merge(banks), FederatedCoreset(budget=30).merge(banks), banks[0].select(torch.arange(9))]
    for bank in merged:
        data = bank.to_bytes()
        assert load(data)["features"].dtype == torch.int8
        assert MemoryBank.from_bytes(data, source="here").digest == bank.digest
    mixed = MemoryBank.merge([banks[0], example_bank(dim=64, site="c")])
    assert load(mixed.to_bytes())["features"].dtype == torch.float32


def test_radii_of_a_rounded_bank_hold():
    generator = torch.Generator().manual_seed(3)
    patches = torch.randn(400, 32, generator=generator) * 3
    for category, chosen in (("nut", 30), ("screw", 5)):
        distances = torch.cdist(patches.double(), patches[:chosen].double())
        near = distances.min(1)
        bank = example_bank(rows=chosen, dim=32, category=category)
        (item,) = bank.contributions
        radius, mean = float(near.values.max()), float(near.values.mean())
        bank = replace(
            bank,
            features=patches[:chosen],
            weights=torch.bincount(near.indices, minlength=chosen).float(),
            contributions=(replace(item, patches=400, covering_radius=radius, mean_distance=mean),),
            covering_radius={category: radius},
        )
        rounded = quantised_bank(bank)
        measured = torch.cdist(patches.double(), rounded.features.double()).min(1).values
        (found,) = rounded.contributions
        assert float(measured.max()) <= found.covering_radius == rounded.covering_radius[category]
        assert float(measured.mean()) <= found.mean_distance
        # An upper bound, but by no more than a row can move.
        assert found.covering_radius - radius <= ROUNDING * 32**0.5 * float(patches.abs().max())
        assert radius < found.covering_radius


def test_every_sites_radius_grows_by_its_own_rows_alone():
    exact = replace(example_bank(rows=3, dim=2), features=torch.full((3, 2), 127.0))
    union = MemoryBank.merge([exact, example_bank(rows=3, dim=2, site="b"), example_bank(dim=2, category="nut")])
    first, second, third = quantised_bank(union).contributions
    assert first == exact.contributions[0]
    assert second.covering_radius > 0.5
    assert third.covering_radius > 0.5


# --- what was agreed ------------------------------------------------------------------------------------------------


def test_an_agreement_on_int8_takes_rounded_banks_only():
    bank = example_bank(rows=20, dim=16)
    agreed = agreement(bank, budget=20)
    agreed.check(agreed.rounded(bank))
    for other in (bank, agreed.rounded(bank).to(torch.float16)):
        with pytest.raises(BankError, match=r"holds features in torch\.float(16|32), but int8 was agreed"):
            agreed.check(other)
    assert Agreement.from_record(agreed.to_record(), source="the server") == agreed


@pytest.mark.parametrize("dtype", ["float16", "float32", "int8"])
def test_limits_are_those_of_the_agreed_type(dtype):
    bank = example_bank(rows=500, dim=32)
    agreed = Agreement(space=bank.space, dtype=dtype, budget=500)
    rounded = agreed.rounded(bank)
    assert rounded.features.dtype == agreed.features_dtype
    size = {"float16": 64, "float32": 128, "int8": 36}[dtype] + 12
    assert agreed.max_bytes == META_BYTES + 500 * size
    assert 500 * size < len(rounded.to_bytes()) < agreed.max_bytes
    assert agreed.max_rows == 500
    assert Agreement(space=bank.space, budget=0.5).max_rows is None


def test_weights_may_not_stand_for_more_patches_than_were_seen():
    bank = example_bank()
    agreed = Agreement(space=bank.space, dtype="float32")
    agreed.check(bank)
    weights = bank.weights.clone()
    weights[0] += 2
    with pytest.raises(BankError, match=r"stand for \d+ patches, but says that it saw \d+"):
        agreed.check(replace(bank, weights=weights))


# --- not trusted ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scales": None}, "differ in \\['scales'\\]"),
        ({"scales": torch.ones(15)}, r"scales are \(15,\) F32, but must be \(16,\) F32"),
        ({"scales": torch.ones(16, dtype=torch.float64)}, "scales are"),
        ({"scales": torch.full((16,), torch.nan)}, "row 0 of features holds a NaN"),
        ({"scales": torch.full((16,), torch.inf)}, "row 0 of features holds a NaN"),
        ({"scales": torch.full((16,), 3e38)}, "absurdly large"),
        ({"features": torch.ones(16, 8)}, "differ in \\['scales'\\]"),
        (
            {"features": torch.ones(16, 8, dtype=torch.uint8)},
            r"features are \(16, 8\) U8, not \(n, d\) F16 or F32 or I8",
        ),
        ({"features": torch.ones(16, 8, dtype=torch.float64)}, "features are"),
        ({"features": torch.ones(16, dtype=torch.int8)}, "features are"),
        ({"features": torch.ones(16, 7, dtype=torch.int8)}, "7 dimensions, but the feature space says 8"),
    ],
)
def test_damaged_rows_in_int8_are_refused(change, message):
    data = quantised_bank(example_bank()).to_bytes()
    meta = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
    tensors = {name: tensor for name, tensor in (load(data) | change).items() if tensor is not None}
    with pytest.raises(BankError, match=message):
        MemoryBank.from_bytes(save(tensors, meta), source="here")


def test_distances_that_are_not_told_stay_so():
    bank = example_bank()
    (item,) = bank.contributions
    untold = replace(bank, contributions=(replace(item, covering_radius=None, mean_distance=None),), covering_radius={})
    (item,) = quantised_bank(untold).contributions
    assert (item.covering_radius, item.mean_distance) == (None, None)
