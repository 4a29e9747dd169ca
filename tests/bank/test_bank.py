"""The memory bank: what it refuses, and that nothing is lost or made up between banks, files and messages."""

import io
import json
import pickle
import struct
from dataclasses import asdict, replace
from pathlib import Path
from unicodedata import normalize

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from safetensors.torch import save

from anomalib_federated.bank import BankError, Contribution, FeatureSpace, MemoryBank
from anomalib_federated.testing import example_bank

TENSORS = ("features", "row_category", "row_site", "weights")
COSTS = {name: torch.tensor([value], dtype=torch.float64) for name, value in {"seconds": 0.25, "passes": 1.0}.items()}
META_KEY = "anomalib_federated.bank"


def assert_equal(first, second):
    """Field by field, bit by bit."""
    for name in TENSORS:
        ours, theirs = getattr(first, name), getattr(second, name)
        assert ours.dtype == theirs.dtype
        assert ours.shape == theirs.shape
        assert ours.contiguous().numpy().tobytes() == theirs.contiguous().numpy().tobytes()
    for name in ("categories", "sites", "space", "contributions", "coresets", "covering_radius", "privacy"):
        assert getattr(first, name) == getattr(second, name)


def two_by_two():
    """Sites a and b, categories screw and nut: the rows' first features are 0, 1, 2, ..."""
    parts = [
        example_bank(rows=rows, site=site, category=category)
        for site, category, rows in (("a", "screw", 3), ("b", "nut", 2), ("a", "nut", 4), ("b", "screw", 1))
    ]
    bank = MemoryBank.merge(parts)
    features = bank.features.clone()
    features[:, 0] = torch.arange(10)
    return replace(bank, features=features)


# --- construction ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": torch.ones(16)}, r"features must be \(n, d\) float32 or float16, got \(16,\)"),
        ({"features": torch.ones(16, 8, dtype=torch.float64)}, "float64"),
        ({"features": torch.ones(0, 8)}, "it has no row"),
        ({"features": torch.ones(16, 7)}, "7 dimensions, but the feature space says 8"),
        ({"features": torch.ones(15, 8)}, r"row_category must be \(15,\) int32"),
        ({"row_category": torch.zeros(16, dtype=torch.int64)}, "row_category must be .* int32, got .*int64"),
        ({"row_category": torch.ones(16, dtype=torch.int32)}, r"row_category names an entry outside 0 \.\. 0"),
        ({"row_site": torch.full((16,), -1, dtype=torch.int32)}, r"row_site names an entry outside 0 \.\. 0"),
        ({"weights": torch.ones(16, dtype=torch.float16)}, "weights must be .* float32"),
        ({"weights": torch.ones(3)}, r"weights must be \(16,\)"),
        ({"weights": torch.zeros(16)}, "weights must be positive and finite"),
        ({"weights": torch.full((16,), torch.inf)}, "weights must be positive and finite"),
        ({"sites": ()}, "sites must be 1 to 10000, got 0"),
        ({"sites": ("plant-a", "plant-a")}, "sites must be distinct"),
        ({"sites": ("plant\n",)}, "printable name"),
        ({"sites": ("x" * 201,)}, "1 to 200 bytes"),
        ({"sites": (7,)}, "printable name"),
        ({"sites": ("elsewhere",)}, "contribution names site 'plant-a'"),
        ({"categories": ("screw", "nut"), "coresets": {"screw": "x", "nut": "x"}}, "category 'nut' has no row"),
        ({"contributions": ()}, "no contribution for the rows of site 'plant-a', category 'screw'"),
        ({"features": torch.full((16, 8), 1e30)}, "absurdly large"),
        ({"sites": ("../plant",)}, "name of a folder"),
        ({"coresets": {}}, "coresets name"),
        ({"coresets": {"screw": "a\x1bb"}}, "coreset of category 'screw' must be a printable name"),
        ({"covering_radius": {"screw": float("nan")}}, "covering_radius of category 'screw' is nan"),
        ({"covering_radius": {"screw": -1.0}}, "covering_radius"),
        ({"covering_radius": {"nut": 1.0}}, "covering_radius of category 'nut'"),
    ],
)
def test_a_malformed_bank_is_refused(changes, message):
    with pytest.raises(BankError, match=message):
        replace(example_bank(), **changes)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_the_first_row_that_is_not_finite_is_named(value):
    features = torch.ones(16, 8)
    features[5, 3] = features[11, 0] = value
    with pytest.raises(BankError, match=r"row 5 .* \(2 such rows\)"):
        replace(example_bank(), features=features)


def test_a_contribution_may_not_come_twice():
    bank = example_bank()
    with pytest.raises(BankError, match="contributes category 'screw' twice"):
        replace(bank, contributions=bank.contributions * 2)


@pytest.mark.parametrize(
    ("field", "value"),
    [("images", 0), ("images", 1.5), ("patches", True), ("site", ""), ("coreset", None), ("category", "\x00")]
    + [("rows", value) for value in (0, 2.0, True, 10**6)]
    + [("passes", value) for value in (0, 1.0, False)]
    + [("mean_distance", 0.51)]  # above the radius
    + [
        (field, value)
        for field in ("covering_radius", "mean_distance", "seconds")
        for value in (-0.1, float("nan"), float("inf"), "1", True, 10**400)
    ],
)
def test_a_malformed_contribution_is_refused(field, value):
    with pytest.raises(BankError, match=field):
        replace(example_bank().contributions[0], **{field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("backbone", ""),
        ("weights", "x" * 201),
        ("layers", ()),
        ("layers", ["layer"]),
        ("layer_scales", (0.0,)),
        ("layer_scales", (1.0, 1.0)),
        ("image_size", (256,)),
        ("image_size", (256, 0)),
        ("image_size", (256.0, 256.0)),
        ("keep_aspect_ratio", 1),
        ("frame", "Part"),
        ("frame", ["part"]),
        ("mean", (0.5, 0.5)),
        ("mean", (0.5, 0.5, float("nan"))),
        ("mean", (0.5, 0.5, float("inf"))),
        ("std", (0.5, 0.5, 0.0)),
        ("std", (0.5, 0.5, float("nan"))),
        ("pooling", 2),
        ("dim", 0),
    ],
)
def test_an_impossible_feature_space_is_refused(field, value):
    with pytest.raises(ValueError, match=f"Feature space refused: {field} is"):
        replace(example_bank().space, **{field: value})


def test_feature_spaces_say_in_which_fields_they_differ():
    space = example_bank().space
    other = replace(space, pooling=5, image_size=None)
    assert space.differences(space) == ""
    assert space.differences(other) == "image_size is (64, 64) and None, pooling is 3 and 5"
    assert FeatureSpace.from_dict(json.loads(json.dumps(asdict(other)))) == other


# --- merge, select, for_category, to ------------------------------------------------------------------------------


def test_merge_puts_rows_below_each_other_with_their_provenance():
    bank = two_by_two()
    sites = [bank.sites[i] for i in bank.row_site.tolist()]
    categories = [bank.categories[i] for i in bank.row_category.tolist()]
    assert (len(bank), bank.sites, bank.categories) == (10, ("a", "b"), ("screw", "nut"))
    assert sites == ["a"] * 3 + ["b"] * 2 + ["a"] * 4 + ["b"]
    assert categories == ["screw"] * 3 + ["nut"] * 6 + ["screw"]
    assert [(item.site, item.category) for item in bank.contributions] == [
        ("a", "screw"), ("b", "nut"), ("a", "nut"), ("b", "screw"),
    ]  # fmt: skip


def test_merge_forgets_the_covering_radius_of_unions_only():
    one, other = example_bank(site="a"), example_bank(site="b", category="nut")
    assert MemoryBank.merge([one, other]).covering_radius == {"screw": 0.5, "nut": 0.5}
    assert MemoryBank.merge([one, other, example_bank(site="c")]).covering_radius == {"nut": 0.5}


def test_merge_names_the_methods_of_all_parts():
    one = example_bank(site="a")
    other = replace(example_bank(site="b"), coresets={"screw": "random"})
    assert MemoryBank.merge([one, other, example_bank(site="c")]).coresets == {"screw": "example + random"}


def test_merge_is_float32_if_any_part_is():
    half, single = example_bank(site="a", dtype=torch.float16), example_bank(site="b")
    halves = MemoryBank.merge([half, example_bank(site="c", dtype=torch.float16)])
    assert halves.features.dtype == torch.float16
    merged = MemoryBank.merge([half, single])
    assert merged.features.dtype == torch.float32
    assert torch.equal(merged.features[:16], half.features.float())


def test_merge_refuses_what_does_not_fit():
    bank = example_bank(site="a")
    with pytest.raises(BankError, match="no bank to merge"):
        MemoryBank.merge([])
    with pytest.raises(BankError, match="site 'a' contributes category 'screw' twice"):
        MemoryBank.merge([bank, bank])
    other = example_bank(site="b")
    other = replace(other, space=replace(other.space, pooling=5, backbone="resnet18"))
    with pytest.raises(BankError, match=r"of a and b .*backbone is 'example' and 'resnet18', pooling is 3 and 5"):
        MemoryBank.merge([bank, other])
    with pytest.raises(BankError, match="dim is 8 and 4"):
        MemoryBank.merge([bank, example_bank(site="b", dim=4)])


def test_select_keeps_rows_in_the_order_named():
    bank = two_by_two()
    picked = bank.select(torch.tensor([9, 0, 2]))
    assert picked.features[:, 0].tolist() == [9, 0, 2]
    assert torch.equal(picked.weights, bank.weights[[9, 0, 2]])
    assert [picked.sites[i] for i in picked.row_site.tolist()] == ["b", "a", "a"]
    assert picked.categories == ("screw",)
    assert picked.covering_radius == {}
    assert {item.category for item in picked.contributions} == {"screw"}


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        (torch.tensor([0, 0]), "named twice"),
        (torch.tensor([16]), r"outside 0 \.\. 15"),
        (torch.tensor([-1]), "outside"),
        (torch.tensor([], dtype=torch.int64), "at least one row"),
        (torch.tensor([[0]]), "1-D int64"),
        (torch.tensor([0.0]), "1-D int64"),
        (torch.ones(16, dtype=torch.bool), "1-D int64"),
    ],
)
def test_select_refuses_what_names_no_rows(indices, message):
    with pytest.raises(BankError, match=message):
        example_bank().select(indices)


def test_for_category_gives_that_category():
    bank = replace(two_by_two(), covering_radius={"nut": 2.0, "screw": 1.0})
    nut = bank.for_category("nut")
    assert nut.features[:, 0].tolist() == [3, 4, 5, 6, 7, 8]
    assert (nut.categories, nut.covering_radius, nut.coresets) == (("nut",), {"nut": 2.0}, {"nut": "example"})
    with pytest.raises(BankError, match="no category 'bolt', only screw, nut"):
        bank.for_category("bolt")


def test_parts_merge_to_the_whole():
    bank = two_by_two()
    parts = [bank.for_category(name) for name in reversed(bank.categories)]
    whole = MemoryBank.merge(parts)
    order = whole.features[:, 0].argsort()
    again = whole.select(order)
    assert torch.equal(again.features, bank.features)
    assert [again.sites[i] for i in again.row_site.tolist()] == [bank.sites[i] for i in bank.row_site.tolist()]


def test_half_precision_refuses_what_it_cannot_hold():
    bank = example_bank()
    assert torch.equal(bank.to(torch.float16).features, bank.features.half())
    assert bank.to(torch.float16).covering_radius == bank.covering_radius
    with pytest.raises(BankError, match="infinite"):
        example_bank(offset=1e5).to(torch.float16)


# --- bytes and files ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_file_gives_back_what_was_saved(tmp_path, dtype):
    bank = two_by_two().to(dtype)
    path = bank.save(tmp_path / "new" / "folder" / "bank.safetensors")
    assert_equal(MemoryBank.load(path), bank)
    assert_equal(MemoryBank.open(path), bank)
    assert path.read_bytes() == bank.to_bytes()
    assert [item.name for item in path.parent.iterdir()] == ["bank.safetensors"]
    example_bank().save(path)
    assert_equal(MemoryBank.load(path), example_bank())


def own_memory():
    """Bytes of this process that are in no file."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("RssAnon:")))


def test_rows_of_a_bank_that_is_opened_stay_on_disk(tmp_path):
    bank = example_bank(rows=1 << 16, dim=256, dtype=torch.float16)  # 32 MiB
    path, digest, size = bank.save(tmp_path / "bank.safetensors"), bank.digest, bank.features.nbytes
    before = own_memory()
    opened = MemoryBank.open(path)
    assert opened.digest == digest
    assert own_memory() - before < size / 4
    # Neither another bank in its place nor its deletion changes it.
    example_bank().save(path)
    path.unlink()
    assert opened.digest == digest


def test_a_file_can_be_read_by_whom_the_umask_lets(tmp_path):
    (tmp_path / "other").touch()
    path = example_bank().save(tmp_path / "bank.safetensors")
    assert path.stat().st_mode == (tmp_path / "other").stat().st_mode


def test_rows_that_follow_each_other_are_not_copied():
    bank = two_by_two()
    selected = bank.select(torch.arange(2, 5))
    assert selected.features.data_ptr() == bank.features[2].data_ptr()
    assert selected.features[:, 0].tolist() == [2, 3, 4]
    assert MemoryBank.from_bytes(selected.to_bytes(), source="here").digest == selected.digest


PRINTABLE = st.characters(exclude_categories=("C", "Z"), include_characters=" ", exclude_characters='./\\:*?"<>|')
NAMES = (
    st.text(PRINTABLE, min_size=1, max_size=20)
    .map(lambda text: normalize("NFC", text).strip())
    .filter(lambda text: text and text.isprintable() and normalize("NFC", text) == text)
)


@st.composite
def banks(draw):
    dtype = draw(st.sampled_from([np.float32, np.float16]))
    shape = draw(st.tuples(st.integers(1, 6), st.integers(1, 4)))
    largest = float(min(np.finfo(dtype).max, np.float32(1e15)))
    finite = {"min_value": -largest, "max_value": largest, "width": 8 * np.dtype(dtype).itemsize}
    features = draw(hnp.arrays(dtype, shape, elements=st.floats(**finite)))
    site, category, method = draw(NAMES), draw(NAMES), draw(NAMES)
    weights = draw(hnp.arrays(np.float32, shape[0], elements=st.floats(min_value=2**-20, max_value=2**20, width=32)))
    radius = draw(st.floats(min_value=0, max_value=1e20))
    bank = example_bank(rows=shape[0], dim=shape[1])
    return replace(
        bank,
        features=torch.from_numpy(features),
        weights=torch.from_numpy(weights),
        sites=(site,),
        categories=(category,),
        contributions=(
            Contribution(
                site=site,
                category=category,
                images=1,
                patches=10**12,
                rows=draw(st.integers(shape[0], 10**12)),
                coreset=method,
                covering_radius=radius,
                mean_distance=draw(st.floats(min_value=0, max_value=radius)),
                passes=draw(st.integers(1, 99)),
                seconds=draw(st.floats(min_value=0, max_value=1e20)),
            ),
        ),
        coresets={category: method},
        covering_radius=draw(st.sampled_from([{}, {category: radius}])),
    )


@settings(max_examples=60, deadline=None)
@given(banks())
def test_bytes_give_back_any_bank(bank):
    data = bank.to_bytes()
    again = MemoryBank.from_bytes(data, source="here")
    assert_equal(again, bank)
    assert again.to_bytes() == data


def with_seconds(bank, seconds):
    return replace(bank, contributions=tuple(replace(item, seconds=seconds) for item in bank.contributions))


@settings(max_examples=30, deadline=None)
@given(banks(), st.floats(min_value=0, max_value=1e20))
def test_the_digest_is_of_all_but_the_seconds(bank, seconds):
    other = with_seconds(bank, seconds)
    assert other.digest == bank.digest == MemoryBank.from_bytes(bank.to_bytes(), source="here").digest
    assert len(other.to_bytes()) == len(bank.to_bytes())
    assert (other.to_bytes() == bank.to_bytes()) == (seconds == bank.contributions[0].seconds)
    assert len(bank.digest) == 64


def test_tensors_that_share_memory_can_be_saved():
    bank = example_bank()
    shared = replace(bank, row_site=bank.row_category)
    assert shared.to_bytes() == bank.to_bytes()


def test_any_other_change_changes_the_digest():
    bank = example_bank()
    features, weights = bank.features.clone(), bank.weights.clone()
    features[3, 5] += 1e-3
    weights[7] += 1
    (item,) = bank.contributions
    changed = [
        replace(bank, features=features),
        replace(bank, weights=weights),
        bank.select(torch.arange(15, -1, -1)),
        bank.to(torch.float16),
        replace(bank, covering_radius={}),
        replace(bank, coresets={"screw": "random"}),
        replace(bank, space=replace(bank.space, pooling=5)),
        *(
            replace(bank, contributions=(replace(item, **{field: value}),))
            for field, value in (("rows", 17), ("mean_distance", 0.1), ("images", 3), ("patches", 300))
        ),
    ]
    assert len({item.digest for item in [bank, *changed]}) == len(changed) + 1


def test_a_bank_may_hold_fewer_rows_than_a_site_kept_but_not_more():
    bank = example_bank()
    assert len(bank.select(torch.arange(3))) == 3
    (item,) = bank.contributions
    with pytest.raises(BankError, match="16 rows of site 'plant-a', category 'screw', which kept 15"):
        replace(bank, contributions=(replace(item, rows=15),))


@pytest.mark.parametrize(
    "seconds", [torch.zeros(2, dtype=torch.float64), torch.zeros(1), torch.full((1,), torch.nan, dtype=torch.float64)]
)
def test_seconds_that_do_not_fit_are_refused(seconds):
    tensors = {name: getattr(example_bank(), name) for name in TENSORS} | COSTS | {"seconds": seconds}
    _, meta, _ = unpack(example_bank().to_bytes())
    assert_refused(save(tensors, {META_KEY: json.dumps(meta)}), "seconds")


def test_a_failed_write_leaves_nothing_behind(tmp_path):
    target = tmp_path / "bank.safetensors"
    target.mkdir()
    (target / "inside").touch()
    with pytest.raises(OSError, match=r"bank\.safetensors"):
        example_bank().save(target)
    assert [item.name for item in tmp_path.iterdir()] == ["bank.safetensors"]
    assert [item.name for item in target.iterdir()] == ["inside"]


def test_absent_and_oversized_files_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no memory bank at .*absent"):
        MemoryBank.load(tmp_path / "absent.safetensors")
    with pytest.raises(FileNotFoundError, match=r"no memory bank at .*absent"):
        MemoryBank.open(tmp_path / "absent.safetensors")
    path = example_bank().save(tmp_path / "bank.safetensors")
    size = path.stat().st_size
    assert len(MemoryBank.load(path, max_bytes=size)) == 16
    with pytest.raises(BankError, match=rf"bank.safetensors has {size} bytes, more than the {size - 1}"):
        MemoryBank.load(path, max_bytes=size - 1)
    with pytest.raises(BankError, match="more than the 100 accepted"):
        MemoryBank.from_bytes(path.read_bytes(), source="plant-a", max_bytes=100)


# --- bytes that are not trusted -------------------------------------------------------------------------------------


def unpack(data):
    """Header as a mapping, meta data as a mapping, body."""
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    return header, json.loads(header["__metadata__"][META_KEY]), data[8 + length :]


def pack(header, meta, body):
    """The inverse; ``meta`` may be JSON text."""
    text = meta if isinstance(meta, str) else json.dumps(meta)
    encoded = json.dumps(header | {"__metadata__": {META_KEY: text}}).encode()
    return struct.pack("<Q", len(encoded)) + encoded + body


def assert_refused(data, message):
    with pytest.raises(BankError, match=message) as caught:
        MemoryBank.from_bytes(data, source="The bank of plant-x")
    assert str(caught.value).startswith("The bank of plant-x is not a valid memory bank (")


def test_pack_and_unpack_are_inverse():
    data = example_bank().to_bytes()
    assert_equal(MemoryBank.from_bytes(pack(*unpack(data)), source="here"), example_bank())


def test_every_truncation_is_refused(tmp_path):
    data, file = example_bank(rows=3, dim=2).to_bytes(), tmp_path / "bank.safetensors"
    for length in range(len(data)):
        with pytest.raises(BankError, match="not a valid memory bank"):
            MemoryBank.from_bytes(data[:length], source="here")
        file.write_bytes(data[:length])
        with pytest.raises(BankError, match=r"bank\.safetensors is not a valid memory bank"):
            MemoryBank.open(file)
    with pytest.raises(BankError, match="not a valid memory bank"):
        MemoryBank.from_bytes(data + b"\0", source="here")


def test_random_damage_gives_a_bank_error_or_a_valid_bank():
    data, generator, refused = example_bank(rows=5, dim=3).to_bytes(), np.random.default_rng(0), 0
    for _ in range(300):
        damaged = bytearray(data)
        for position in generator.integers(0, len(data), generator.integers(1, 4)):
            damaged[position] = generator.integers(256)
        try:
            bank = MemoryBank.from_bytes(bytes(damaged), source="here")
        except BankError:
            refused += 1
            continue
        # Damage within a number cannot be seen; what comes out must still be a bank like any other.
        assert_equal(MemoryBank.from_bytes(bank.to_bytes(), source="here"), bank)
    assert 100 < refused < 300


def test_other_files_are_refused():
    assert_refused(b"", "truncated: 0 bytes")
    assert_refused(save({"features": torch.ones(3, 8)}), f"no '{META_KEY}': it is some other file")
    assert_refused(save({"features": torch.ones(3, 8)}, {"format": "pt"}), f"no '{META_KEY}': it is some other file")


def test_a_pickle_is_refused_and_not_executed(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (tmp_path.joinpath("executed").touch, ())

    archive = io.BytesIO()
    torch.save(Bomb(), archive)
    for data in (pickle.dumps(Bomb()), archive.getvalue()):
        assert_refused(data, "truncated|corrupt")
    assert list(tmp_path.iterdir()) == []


def test_claims_of_gigabytes_are_refused_without_room_for_them():
    assert_refused(struct.pack("<Q", 2 << 30) + b"{}" + bytes(1000), "truncated: 1010 bytes")
    assert_refused(struct.pack("<Q", 2**64 - 1) + bytes(1000), "truncated")
    header, meta, body = unpack(example_bank().to_bytes())
    header["features"] |= {"shape": [1 << 26, 8], "data_offsets": [0, 2 << 30]}
    assert_refused(pack(header, meta, body), r"row_category are \(16,\) I32, but must be \(67108864,\) I32")
    header |= {name: item | {"shape": [1 << 26]} for name, item in header.items() if name in TENSORS[1:]}
    assert_refused(pack(header, meta, body), "corrupt")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["format"], 1, "format is 1, this version reads format 3"),
        (["format"], 2, "format is 2, this version reads format 3"),
        (["categories"], None, "not lists"),
        (["categories"], ["nut"], "contribution names|coresets name"),
        (["categories"], [["screw"]], "printable name"),
        (["sites"], ["plant-b"], "contribution names"),
        (["space", "dim"], 9, "8 dimensions, but the feature space says 9"),
        (["space", "dim"], "8", "dim is '8'"),
        (["space", "mean"], [float("nan")] * 3, "NaN' is not a finite number"),
        (["space", "surprise"], 1, "surprise"),
        (["space"], [], "not mappings"),
        (["contributions"], [7], "mapping"),
        (["contributions", 0, "images"], -1, "images"),
        (["contributions", 0, "rows"], 15, "16 rows of site 'plant-a', category 'screw', which kept 15"),
        (["contributions", 0, "seconds"], 1.0, "seconds"),
        (["contributions", 0], {}, "missing"),
        (["contributions"], [], "seconds"),
        (["coresets"], {"nut": "k_center"}, "coresets name"),
        (["coresets"], {"screw": "\ud800"}, "printable"),
        (["coresets"], {"screw": 3}, "printable"),
        (["covering_radius", "screw"], 10**400, "covering_radius"),
        (["covering_radius", "screw"], "far", "far"),
        (["covering_radius", "screw"], float("inf"), "'Infinity' is not a finite number"),
    ],
)
def test_meta_data_that_lies_is_refused(path, value, message):
    header, meta, body = unpack(example_bank().to_bytes())
    target = meta
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    assert_refused(pack(header, meta, body), message)


@pytest.mark.parametrize(
    "field", ["categories", "sites", "space", "contributions", "coresets", "covering_radius", "privacy"]
)
def test_meta_data_that_lacks_a_field_is_refused(field):
    header, meta, body = unpack(example_bank().to_bytes())
    del meta[field]
    assert_refused(pack(header, meta, body), f"lacks '{field}'")


@pytest.mark.parametrize("depth", [*range(900, 1000, 5), 5000])
def test_endless_nesting_is_refused(depth):
    header, _, body = unpack(example_bank().to_bytes())
    assert_refused(pack(header, '{"format": ' + "[" * depth + "]" * depth + "}", body), "format is|nested too deeply")


def test_tensors_that_do_not_belong_are_refused():
    header, meta, body = unpack(example_bank().to_bytes())
    header["surprise"] = header.pop("weights")
    assert_refused(pack(header, meta, body), "surprise")


@pytest.mark.parametrize("shape", [[0], [0, 8], [0, 2**62, 2**62], [2**63, 0], [0, 2**64]])
def test_impossible_shapes_are_refused(shape):
    tensors = {name: getattr(example_bank(), name) for name in TENSORS} | COSTS | {"features": torch.empty(0)}
    _, meta, _ = unpack(example_bank().to_bytes())
    header, _, body = unpack(save(tensors, {META_KEY: json.dumps(meta)}))
    header["features"]["shape"] = shape
    assert_refused(pack(header, meta, body), "features are|row_category are|no row")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_features_that_are_not_finite_are_refused_on_arrival(value):
    tensors = {name: getattr(example_bank(), name) for name in TENSORS} | COSTS
    features = tensors["features"].clone()
    features[7, 2] = value
    _, meta, _ = unpack(example_bank().to_bytes())
    data = save(tensors | {"features": features}, {META_KEY: json.dumps(meta)})
    assert_refused(data, "row 7 of features holds a NaN, infinite")
