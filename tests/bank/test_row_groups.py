"""Groups of a bank's rows: kept wherever rows go, refused when they cannot be, and absent from banks that have none."""

import json
from dataclasses import replace
from hashlib import sha256

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save

from anomalib_federated.bank import BankError, MemoryBank, describe
from anomalib_federated.bank.category_union import CategoryUnion
from anomalib_federated.bank.content import costs_of, meta_of, tensors_of
from anomalib_federated.bank.in_order import in_order
from anomalib_federated.bank.quantised import quantised_bank
from anomalib_federated.bank.row_groups import MAX_GROUPS, group_of_rows, rows_by_group, with_groups
from anomalib_federated.testing import example_bank

NAMES = ("Dark", "dark", "exp1", "unnamed", "Übergang")
META_KEY = "anomalib_federated.bank"


def int32(*numbers):
    return torch.tensor(numbers, dtype=torch.int32)


def marked(rows, names, **of):
    """A bank whose rows' first features are numbers of their own; of no groups if no names are given."""
    bank = example_bank(rows=rows, **of)
    return with_groups(bank, names) if names else bank


def told(bank):
    """Per row, by its features, its site, category and group: what no step may change."""
    rows = zip(bank.features.tolist(), bank.row_site.tolist(), bank.row_category.tolist(), group_of_rows(bank),
               strict=True)  # fmt: skip
    return {tuple(row): (bank.sites[site], bank.categories[category], group) for row, site, category, group in rows}


@st.composite
def some_banks(draw):
    """Banks of two sites, each with one category or two, each with groups or without."""
    banks = []
    for number, site in enumerate(("a", "b")):
        for category in draw(st.lists(st.sampled_from(("screw", "nut")), min_size=1, unique=True)):
            rows = draw(st.integers(1, 6))
            names = draw(st.lists(st.sampled_from(NAMES), min_size=rows, max_size=rows)) if draw(st.booleans()) else []
            banks.append(marked(rows, names, site=site, category=category, seed=100 * number + len(category)))
    return banks


@settings(max_examples=60, deadline=None)
@given(some_banks(), st.randoms(use_true_random=False))
def test_rows_keep_their_groups_through_merging_taking_apart_and_files(banks, chance):
    wanted = {row: item for bank in banks for row, item in told(bank).items()}
    chance.shuffle(banks)
    merged = MemoryBank.merge(banks)
    assert told(merged) == wanted
    assert told(MemoryBank.from_bytes(merged.to_bytes(), source="here")) == wanted
    assert told(in_order(merged)) == wanted
    for bank in banks:
        (site,), (category,) = bank.sites, bank.categories
        of_category = merged.row_category == merged.categories.index(category)
        again = merged.select((of_category & (merged.row_site == merged.sites.index(site))).nonzero().flatten())
        assert (again.groups, group_of_rows(again)) == (bank.groups, group_of_rows(bank))


@settings(max_examples=40, deadline=None)
@given(some_banks(), st.data())
def test_a_category_union_keeps_the_groups_of_its_rows(banks, data):
    by_site = [MemoryBank.merge([bank for bank in banks if bank.sites == (site,)]) for site in ("a", "b")]
    category = data.draw(st.sampled_from(sorted({name for bank in banks for name in bank.categories})))
    union, whole = CategoryUnion(by_site, category), MemoryBank.merge(by_site).for_category(category)
    indices = torch.tensor(data.draw(st.lists(st.integers(0, len(union) - 1), min_size=1, unique=True)))
    kept = union.keep(indices, weights=whole.weights[indices], coreset=union.coreset)
    assert kept.digest == whole.select(indices).digest
    assert (union.groups, union.groups == ()) == (whole.groups, union.row_group is None)
    assert group_of_rows(kept) == [group_of_rows(whole)[number] for number in indices.tolist()]


def test_names_are_sorted_and_those_of_no_row_are_left_out():
    bank = replace(example_bank(rows=3), row_group=int32(2, 0, 2), groups=("light", "grey", "dark"))
    assert (bank.groups, bank.row_group.tolist()) == (("dark", "light"), [0, 1, 0])
    assert bank.digest == with_groups(example_bank(rows=3), ["dark", "light", "dark"]).digest
    assert bank.select(torch.tensor([1])).groups == ("light",)


def test_a_bank_without_groups_is_unnamed_beside_others_and_itself_again_alone():
    plain, grouped = example_bank(rows=2, site="a"), marked(2, ["x", "y"], site="b")
    merged = MemoryBank.merge([plain, grouped])
    assert (merged.groups, group_of_rows(merged)) == (("unnamed", "x", "y"), ["unnamed", "unnamed", "x", "y"])
    alone = merged.select(torch.tensor([0, 1]))
    assert (alone.row_group, alone.groups) == (None, ())
    assert with_groups(plain, ["unnamed", "unnamed"]).digest == plain.digest


def test_banks_without_groups_are_written_as_before_there_were_any():
    bank = MemoryBank.merge([example_bank(rows=4, site="a"), example_bank(rows=3, site="b", category="nut")])
    assert bank.digest == "e954ae5505d1da40ed1ae73c22c8596a7f2cba8755c41f40aa44df48d935ae36"
    assert sha256(bank.to_bytes()).hexdigest() == "4690de551634cdd78c8e790f54e687ef6cd0ca5ccd5e24ed3b8c23b966510c97"


def test_groups_change_the_digest_and_a_file_holds_four_bytes_a_row(tmp_path):
    bank = example_bank(rows=4)
    one, other = (with_groups(bank, names) for names in (["x", "y", "x", "x"], ["x", "y", "y", "x"]))
    assert len({bank.digest, one.digest, other.digest}) == 3
    path = one.save(tmp_path / "bank.safetensors")
    with safe_open(path, framework="pt") as opened:
        assert (opened.get_tensor("row_group").dtype, len(opened.get_tensor("row_group"))) == (torch.int32, 4)
    assert told(MemoryBank.open(path)) == told(MemoryBank.load(path)) == told(one)


def test_rounding_keeps_groups():
    bank = marked(3, ["x", "y", "x"])
    for rounded in (quantised_bank(bank), bank.to(torch.float16)):
        assert group_of_rows(MemoryBank.from_bytes(rounded.to_bytes(), source="here")) == ["x", "y", "x"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"row_group": None}, "one of them is missing"),
        ({"groups": ()}, "one of them is missing"),
        ({"row_group": int32(0, 1)}, r"row_group must be \(3,\) int32"),
        ({"row_group": torch.tensor([0, 1, 1])}, r"row_group must be .* int32, got .*int64"),
        ({"row_group": int32(0, 1, 2)}, r"row_group names an entry outside 0 \.\. 1"),
        ({"row_group": int32(0, 1, -1)}, r"row_group names an entry outside 0 \.\. 1"),
        ({"groups": ("x", "x")}, "groups must be distinct"),
        ({"groups": ("x", "../y")}, "a group must be usable as the name of a folder"),
        ({"groups": ("x", "y\n")}, "a group must be a printable name"),
        ({"groups": ("x", "y" * 201)}, "1 to 200 bytes"),
        ({"groups": ("x", 7)}, "a group must be a printable name"),
        ({"groups": ("x", ["y"])}, "a group must be a printable name"),
        ({"groups": tuple(map(str, range(MAX_GROUPS + 1)))}, f"at most {MAX_GROUPS}, got {MAX_GROUPS + 1}"),
    ],
)
def test_malformed_groups_are_refused(changes, message):
    with pytest.raises(BankError, match=message):
        replace(example_bank(rows=3), **{"row_group": int32(0, 1, 1), "groups": ("x", "y"), **changes})


def hostile(*, tensors=None, **meta):
    """The bytes of a bank of three rows and two groups, with something changed; ``None`` leaves a tensor out."""
    bank = marked(3, ["x", "y", "x"])
    content = tensors_of(bank) | costs_of(bank) | (tensors or {})
    changed = meta_of(bank) | meta
    return save(
        {name: tensor.clone() for name, tensor in content.items() if tensor is not None},
        {META_KEY: json.dumps({key: value for key, value in changed.items() if value != "left out"})},
    )


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (hostile(tensors={"row_group": None}), "differ in .*row_group"),
        (hostile(groups="left out"), "differ in .*row_group"),
        (hostile(groups="x"), "are not lists"),
        (hostile(groups={"x": 1}), "are not lists"),
        (hostile(groups=[]), "one of them is missing"),
        (hostile(groups=["x"]), r"outside 0 \.\. 0"),
        (hostile(groups=["x", None]), "a group must be a printable name"),
        (hostile(groups=["x", "C:"]), "name of a folder"),
        (hostile(groups=["x", "x"]), "distinct"),
        (hostile(groups=list(map(str, range(MAX_GROUPS + 1)))), f"at most {MAX_GROUPS}"),
        (hostile(tensors={"row_group": torch.zeros(3, dtype=torch.int64)}), r"row_group are \(3,\) I64"),
        (hostile(tensors={"row_group": torch.zeros(2, dtype=torch.int32)}), r"row_group are \(2,\) I32"),
        (hostile(tensors={"row_group": int32(0, 1, 2)}), r"outside 0 \.\. 1"),
        (hostile(tensors={"row_group": int32(0, 1, -(2**31))}), r"outside 0 \.\. 1"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_hostile_files_are_refused(data, message, tmp_path):
    with pytest.raises(BankError, match=rf"The bank of plant-x is not a valid memory bank \(.*{message}"):
        MemoryBank.from_bytes(data, source="The bank of plant-x")
    file = tmp_path / "bank.safetensors"
    file.write_bytes(data)
    with pytest.raises(BankError, match=message):
        MemoryBank.open(file)


def test_rows_and_the_patches_that_they_stand_for_are_counted_by_site_category_and_group():
    banks = [
        marked(3, ["x", "y", "x"], site="b", category="screw"),
        marked(2, [], site="a", category="screw"),
        marked(2, ["y", "y"], site="a", category="nut"),
    ]
    counted = rows_by_group(MemoryBank.merge(banks))
    assert [(item.category, item.site, item.group, item.rows) for item in counted] == [
        ("nut", "a", "y", 2), ("screw", "a", "unnamed", 2), ("screw", "b", "x", 2), ("screw", "b", "y", 1),
    ]  # fmt: skip
    weights = banks[0].weights.tolist()
    assert [item.patches for item in counted[2:]] == [weights[0] + weights[2], weights[1]]
    assert describe(banks[1])["groups"] == []
    assert describe(banks[0])["groups"][0]["group"] == "x"
