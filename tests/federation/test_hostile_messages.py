"""What a hostile message may try, one by one: it is refused in a sentence, early, and costs little memory."""

import json
import re
import struct
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from anomalib_federated.bank import BankError, MemoryBank
from anomalib_federated.bank.validation import MAX_NAMES, check_name, check_names
from anomalib_federated.federation import Agreement
from anomalib_federated.testing import example_bank
from tests.federation.hostile import META_KEY, content_of, pack, refusal, unpack
from tests.federation.pieces import pieces_of


@pytest.fixture
def bank():
    return example_bank(rows=12, dim=4)


@pytest.fixture
def agreed(bank):
    return Agreement(space=bank.space, dtype="float32", budget=12)


def test_rows_beyond_the_quota_are_refused_before_they_are_read(bank, agreed):
    more = example_bank(rows=120, dim=4)
    assert "it holds 120 rows, but at most 12 were agreed" in refusal(content_of(more.to_bytes()), agreed)
    # Its numbers are never looked at.
    data = more.to_bytes()
    assert "it holds 120 rows" in refusal(content_of(data[:-1000] + b"\xff" * 1000), agreed)


def test_a_field_that_comes_twice_is_refused(bank, agreed):
    header, meta, body = unpack(bank.to_bytes())
    text = '{"sites": ["plant-b"], ' + json.dumps(meta)[1:]
    assert "the field 'sites' comes twice" in refusal(content_of(pack(header, text, body)), agreed)
    text = json.dumps(header | {"__metadata__": {META_KEY: json.dumps(meta)}})
    text = text.replace('{"dtype"', '{"dtype": "F32", "dtype"', 1).encode()
    data = struct.pack("<Q", len(text)) + text + body
    assert "the field 'dtype' comes twice" in refusal(content_of(data), agreed)


@pytest.mark.parametrize(
    ("field", "value"),
    [("images", 2**53 + 1), ("patches", 10**30), ("rows", 2**63), ("covering_radius", 1e21), ("mean_distance", "0.1")],
    ids=str,
)
def test_numbers_that_cannot_be_are_refused(bank, agreed, field, value):
    header, meta, body = unpack(bank.to_bytes())
    meta["contributions"][0][field] = value
    assert f"{field} is" in refusal(content_of(pack(header, meta, body)), agreed)


def test_weights_that_would_overflow_are_refused(bank):
    with pytest.raises(BankError, match="weights must be positive and finite, at most"):
        replace(bank, weights=torch.full((12,), 3e38))


def test_endless_lists_of_names_and_categories_are_refused(bank, agreed):
    header, meta, body = unpack(bank.to_bytes())
    meta["sites"] = [f"plant-{number}" for number in range(MAX_NAMES["sites"] + 1)]
    assert "sites must be 1 to 10000, got 10001" in refusal(content_of(pack(header, meta, body)), agreed)
    content = content_of(bank.to_bytes())
    content.update(pieces_of(dict.fromkeys(map(str, range(MAX_NAMES["categories"] + 1)), bank.to_bytes())))
    assert "has banks of 1001 categories; send 1000 at most" in refusal(content, agreed)


def test_what_a_message_says_never_reaches_a_terminal_as_it_is(bank, agreed):
    header, meta, body = unpack(bank.to_bytes())
    for path, value in ((["format"], "\x1b]0;" * 10_000), (["space", "\x1b[2J"], 1), (["coresets"], {"\x1b": "x"})):
        changed = deepcopy(meta)
        target = changed
        for key in path[:-1]:
            target = target[key]
        target[path[-1]] = value
        assert "x1b" in refusal(content_of(pack(header, changed, body)), agreed)


# --- names ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["plant-a", "Werk München 3", "a.b", "工場", "x" * 200, "console", "com10", "a+b (2)"])
def test_names_that_every_file_system_takes(name):
    check_name("site", name)


@pytest.mark.parametrize(
    "name",
    [
        *("", " ", "a ", " a", ".", "..", ".a", "a.", "a/b", "a\\b", "a:b", "a*", "a?", 'a"', "<a", "a>", "a|b"),
        *("a\nb", "\x1b[2J", "a\u202eb", "\ud800", "a\x00", "con", "NUL", "com1", "Lpt9.x", "nul .y", "Mu\u0308nchen"),
        *("x" * 201, "\u00e9" * 101, 7, None, b"a"),
    ],
)
def test_names_that_some_file_system_does_not_take(name):
    with pytest.raises(BankError, match=r"Memory bank refused: site must be") as caught:
        check_name("site", name)
    assert str(caught.value).isascii()


@pytest.mark.parametrize("names", [("a", "A"), ("straße", "STRASSE"), ("É", "é"), ("a", "a")])
def test_names_that_some_file_system_does_not_tell_apart(names):
    with pytest.raises(BankError, match="sites must be distinct, also in lower case"):
        check_names("sites", names)


# --- memory ---------------------------------------------------------------------------------------------------------


def status(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def bytes_taken(data):
    """Memory that reading takes at its peak, beyond the bytes themselves, and why they are refused."""
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark begins anew
    before = status("VmRSS")
    try:
        MemoryBank.from_bytes(data, source="The bank", max_rows=100_000)
    except BankError as error:
        return status("VmHWM") - before, str(error)
    return status("VmHWM") - before, ""


def claiming(rows):
    """A bank of twelve rows that claims others, alike in all its tensors."""
    header, meta, body = unpack(example_bank(rows=12, dim=16).to_bytes())
    size = {"features": 16 * 4, "row_category": 4, "row_site": 4, "weights": 4}
    header = {
        name: item | {"shape": [rows, *item["shape"][1:]], "data_offsets": [0, rows * size[name]]}
        if name in size
        else item
        for name, item in header.items()
    }
    return pack(header, meta, body)


def with_meta(text):
    header, _, body = unpack(example_bank(rows=12, dim=16).to_bytes())
    return pack(header, text, body)


MIB = 1 << 20


@pytest.mark.parametrize(
    ("make", "reason", "most"),
    [
        (lambda: struct.pack("<Q", 2 << 30) + bytes(1000), "it is truncated: 1008 bytes", 1),
        (lambda: claiming(2**25), "it holds 33554432 rows, but at most 100000", 1),
        (lambda: claiming(90_000), "its bytes are corrupt", 1),
        (lambda: example_bank(rows=100_001, dim=16).to_bytes(), "it holds 100001 rows", 1),
        (lambda: with_meta(" " * (9 * MIB)), "header of 94.* bytes is longer", 1),
        (lambda: with_meta('{"format": 1, "a": [' + "[]," * 300_000 + "1]}"), "its format is 1", 30),
        (lambda: with_meta('{"format": 1, "a": [' + '{"a":[]},' * 100_000 + "1]}"), "its format is 1", 40),
    ],
    ids=["header of 2 GiB", "rows of 2 GiB", "rows that are not there", "too many rows", "spaces", "lists", "mappings"],
)
def test_what_is_refused_costs_little_memory(make, reason, most):
    MemoryBank.from_bytes(example_bank().to_bytes(), source="here")  # whatever is needed once
    taken, refused = bytes_taken(make())
    assert re.search(reason, refused)
    assert taken < most * MIB


@pytest.mark.parametrize(("dtype", "times"), [("float32", 1.3), ("float16", 1.5), ("int8", 5.5)])
def test_what_is_taken_costs_a_small_multiple_of_its_bytes(dtype, times):
    bank = example_bank(rows=60_000, dim=160)
    data = Agreement(space=bank.space, dtype=dtype).rounded(bank).to_bytes()
    del bank
    taken, refused = bytes_taken(data)
    assert refused == ""
    assert taken < times * len(data), taken / len(data)
