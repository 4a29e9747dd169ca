"""Places and projections of a bank: kept with their rows, refused where they make no sense, never joined."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from anomalib_federated.bank import BankError, MemoryBank
from anomalib_federated.bank.category_union import CategoryUnion
from anomalib_federated.bank.in_order import in_order
from anomalib_federated.messages.agreement import Agreement
from anomalib_federated.testing import example_bank
from tests.federation.hostile import pack, unpack


def placed(category="screw", *, rows=4, width=3, site="plants", seed=0):
    bank = example_bank(rows=rows, category=category, site=site, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    return replace(
        bank,
        row_place=torch.rand(rows, 2, generator=generator),
        projections={category: torch.randn(8, width, generator=generator)},
    )


def same(first, second):
    assert (first.row_place is None) == (second.row_place is None)
    if first.row_place is not None:
        assert torch.equal(first.row_place, second.row_place)
    assert list(first.projections) == list(second.projections)
    assert all(torch.equal(second.projections[name], each) for name, each in first.projections.items())


def test_selection_keeps_places_with_their_rows():
    bank = MemoryBank.merge([placed("screw"), placed("nut", seed=1)])
    kept = bank.select(torch.tensor([6, 5]))
    assert torch.equal(kept.row_place, bank.row_place[[6, 5]])
    assert list(kept.projections) == ["nut"]
    for name in ("screw", "nut"):
        own = placed(name, seed=int(name == "nut"))
        same(bank.for_category(name), own)
        assert bank.for_category(name).digest == replace(own, covering_radius={name: 0.5}).digest


def test_categories_of_both_kinds_are_in_one_bank():
    plain, other = example_bank(rows=3, category="nut", site="plants"), placed("screw")
    bank = MemoryBank.merge([plain, other])
    assert bank.row_place[:3].tolist() == [[0.5, 0.5]] * 3
    assert bank.for_category("nut").digest == plain.digest
    assert bank.for_category("screw").digest == other.digest
    assert in_order(in_order(bank)).digest == in_order(bank).digest
    # More rows of the plain category still fit.
    more = MemoryBank.merge([bank, example_bank(rows=2, category="nut", site="b")])
    assert more.for_category("nut").row_place is None
    assert len(more.for_category("nut")) == 5


def test_rows_that_all_count_everywhere_have_no_place():
    bank = example_bank(rows=3)
    assert replace(bank, row_place=torch.full((3, 2), 0.5)).digest == bank.digest


@pytest.mark.parametrize("parts", ["both", "places", "projection"])
def test_such_a_category_is_never_joined_with_other_rows(parts):
    bank = placed()
    if parts == "places":
        bank = replace(bank, projections={})
    if parts == "projection":
        bank = replace(bank, row_place=None)
    for other in (example_bank(site="b"), placed(site="b")):
        for order in ([bank, other], [other, bank]):
            with pytest.raises(BankError, match="measures distances of category 'screw' by places or a projection"):
                MemoryBank.merge(order)
    with pytest.raises(BankError, match="the bank of plants measures distances"):
        CategoryUnion([bank], "screw")
    with pytest.raises(BankError, match="the bank of plants measures distances"):
        Agreement(space=bank.space, dtype="float32").check(bank)


@st.composite
def banks(draw):
    rows, dim = draw(st.tuples(st.integers(1, 5), st.integers(1, 4)))
    bank = example_bank(rows=rows, dim=dim)
    places = draw(st.none() | hnp.arrays(np.float32, (rows, 2), elements=st.floats(0, 1, width=32)))
    shape = (dim, draw(st.integers(1, dim)))
    projection = draw(st.none() | hnp.arrays(np.float32, shape, elements=st.floats(-1e9, 1e9, width=32)))
    return replace(
        bank,
        row_place=None if places is None else torch.from_numpy(places),
        projections={} if projection is None else {"screw": torch.from_numpy(projection)},
    )


@settings(max_examples=40, deadline=None)
@given(banks(), st.booleans())
def test_bytes_give_back_places_and_projections(bank, merged):
    if merged:
        bank = MemoryBank.merge([example_bank(rows=2, dim=bank.space.dim, category="nut"), bank])
    again = MemoryBank.from_bytes(bank.to_bytes(), source="here")
    same(again, bank)
    assert (again.digest, again.to_bytes()) == (bank.digest, bank.to_bytes())


def test_a_file_that_is_opened_has_them_too(tmp_path):
    bank = placed()
    same(MemoryBank.open(bank.save(tmp_path / "bank.safetensors")), bank)
    turned = replace(bank, projections={"screw": torch.randn(3, 8).T})  # not contiguous in memory
    same(MemoryBank.load(turned.save(tmp_path / "bank.safetensors")), turned)


def test_the_digest_covers_them():
    bank = placed()
    places, projection = bank.row_place.clone(), bank.projections["screw"].clone()
    places[0, 0] = 0.25
    projection[0, 0] += 1
    changed = [
        replace(bank, row_place=None), replace(bank, projections={}), replace(bank, row_place=places),
        replace(bank, projections={"screw": projection}),
    ]  # fmt: skip
    assert len({each.digest for each in [bank, *changed]}) == 5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"row_place": torch.zeros(3, 2)}, r"row_place must be \(4, 2\) float32, got \(3, 2\)"),
        ({"row_place": torch.zeros(4, 3)}, "row_place must be"),
        ({"row_place": torch.zeros(4, 2, dtype=torch.float64)}, "row_place must be .* float32, got .*float64"),
        ({"row_place": torch.full((4, 2), 1.01)}, "outside of the picture"),
        ({"row_place": torch.full((4, 2), -0.01)}, "outside of the picture"),
        ({"row_place": torch.full((4, 2), torch.nan)}, "outside of the picture"),
        ({"projections": {"nut": torch.ones(8, 2)}}, "projection of category 'nut', which the bank does not hold"),
        ({"projections": {"screw": torch.ones(7, 2)}}, r"must be \(8, 1 .. 8\) float32, got \(7, 2\)"),
        ({"projections": {"screw": torch.ones(8, 9)}}, r"got \(8, 9\)"),
        ({"projections": {"screw": torch.ones(8, 0)}}, r"got \(8, 0\)"),
        ({"projections": {"screw": torch.ones(8)}}, r"got \(8,\)"),
        ({"projections": {"screw": torch.ones(8, 2, dtype=torch.float16)}}, "float16"),
        ({"projections": {"screw": torch.full((8, 2), torch.nan)}}, "holds a NaN, infinite or absurdly large"),
        ({"projections": {"screw": torch.full((8, 2), torch.inf)}}, "holds a NaN, infinite or absurdly large"),
        ({"projections": {"screw": torch.full((8, 2), 1e14)}}, "absurdly large"),
    ],
)
def test_impossible_places_and_projections_are_refused(changes, message):
    with pytest.raises(BankError, match=message):
        replace(example_bank(rows=4), **changes)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("row_place", {"shape": [2, 4]}, r"row_place are \(2, 4\) F32, but must be \(4, 2\) F32"),
        ("row_place", {"dtype": "F64"}, "row_place are"),
        ("projection.0", {"shape": [3, 8]}, r"projection.0 are \(3, 8\) F32, but must be \(8, 8\)"),
        ("projection.0", {"shape": [8, 1 << 40]}, "projection.0 are"),
        ("projection.0", {"shape": [24]}, "projection.0 are"),
        ("projection.0", {"shape": []}, "projection.0 are"),
        ("projection.0", {"dtype": "I32"}, "projection.0 are"),
    ],
)
def test_declared_sizes_are_checked_before_they_are_read(name, changes, message):
    header, meta, body = unpack(placed().to_bytes())
    header[name] |= changes
    with pytest.raises(BankError, match=message):
        MemoryBank.from_bytes(pack(header, meta, body), source="here")


@pytest.mark.parametrize("name", ["projection.1", "projection.-1", "projection.", "projection.00", "row_places"])
def test_tensors_of_no_category_are_refused(name):
    header, meta, body = unpack(placed().to_bytes())
    header[name] = header.pop("projection.0")
    with pytest.raises(BankError, match="tensors and those of a bank differ in"):
        MemoryBank.from_bytes(pack(header, json.dumps(meta), body), source="here")
