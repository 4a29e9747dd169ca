"""750 mutations of a message: each is refused in a sentence, or as good as an honest one. And 250 of an agreement."""

import json
import random
import struct
from copy import deepcopy
from dataclasses import replace

import pytest
from flwr.app import ArrayRecord, ConfigRecord, MetricRecord

from anomalib_federated.federation import Agreement
from anomalib_federated.messages import MessageError
from anomalib_federated.testing import example_bank
from anomalib_federated.testing.privacy import example_report
from tests.federation.hostile import content_of, pack, refusal, unpack
from tests.federation.pieces import files_in, pieces_of

MUTATIONS = 250
NASTY = [
    *(None, True, -1, 0, 1.5, 2**31, 2**53 + 1, 2**63, 10**400, 1e20, 1e308, float("nan"), float("inf")),
    *("", "1", "x" * 5000, "\x1b[2J", "../../etc", "nul", "\u00e9" * 101, "\ud800", "F16", "I64"),
    *([], {}, [[]] * 40, [2**40, 2**40], {"a": {"a": {"a": []}}}),
]


def places(value, path=()):
    """Paths to all that is in a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inside in items:
        yield (*path, key)
        yield from places(inside, (*path, key))


def altered(value, rng):
    """A JSON value with one thing in it replaced or removed."""
    value = deepcopy(value)
    *path, last = rng.choice(list(places(value)))
    target = value
    for key in path:
        target = target[key]
    if rng.random() < 0.2:
        del target[last]
    else:
        target[last] = rng.choice(NASTY)
    return value


def flip(data, rng):
    changed = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 5])):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def cut(data, rng):
    first = rng.randrange(len(data))
    return data[:first] + data[first + rng.choice([1, 8, 100, 10**6]) :]


def insert(data, rng):
    at = rng.randrange(len(data))
    return data[:at] + rng.choice([b"\0", b"{", b"[", b'"', rng.randbytes(50), data[:200], b"9" * 400]) + data[at:]


def change_header(data, rng):
    header, meta, body = unpack(data)
    return pack(altered(header, rng), meta, body)


def change_meta(data, rng):
    header, meta, body = unpack(data)
    return pack(header, altered(meta, rng), body)


def repeat_a_key(data, rng):
    header, meta, body = unpack(data)
    key = rng.choice(sorted(meta))
    return pack(header, f'{{"{key}": {json.dumps(rng.choice(NASTY))}, {json.dumps(meta)[1:]}', body)


def nest(data, rng):
    header, meta, body = unpack(data)
    depth = rng.choice([50, 500, 990, 100_000])
    return pack(header, json.dumps(meta).replace("[", "[" * depth, 1), body)


def swap_tensors(data, rng):
    header, meta, body = unpack(data)
    one, other = rng.sample(sorted(header), 2)
    header[one], header[other] = header[other], header[one]
    return pack(header, meta, body)


def change_type(data, rng):
    header, meta, body = unpack(data)
    header[rng.choice(sorted(header))]["dtype"] = rng.choice(
        ["F16", "F32", "F64", "I8", "U8", "I32", "I64", "BF16", "BOOL"]
    )
    return pack(header, meta, body)


def change_numbers(data, rng):
    header, meta, body = unpack(data)
    body = bytearray(body)
    first, last = header[rng.choice(sorted(header))]["data_offsets"]
    nasty = struct.pack("<d", rng.choice([0.0, -1.0, 1e300, float("nan"), float("inf")])) + rng.randbytes(8)
    at = rng.randrange(first, last)
    body[at : at + 8] = nasty[: len(body[at : at + 8])]
    return pack(header, meta, bytes(body))


CHANGES = [
    flip, cut, insert, change_header, change_meta, change_meta, repeat_a_key, nest, swap_tensors, change_type,
    change_numbers,
]  # fmt: skip


def change_record(content, rng):
    """One of the records is no more what it should be."""
    (name,) = pieces_of(files_in(content))
    piece = content[name]
    other = rng.choice(["nut", "../screw", "", "x" * 999, "SCREW", "screw\n"])
    field = rng.choice([
        {"category": other}, {"category": 3}, {"category": b"screw"}, {"data": b""}, {"data": b"\x80\x04."},
        {"data": "text"}, {"data": 2**40}, {"data": bytes((4 << 20) + 1)}, {"more": "\x1b" * 999},
    ])  # fmt: skip
    wrong = {**piece, **field}
    numbers = [
        "bank",
        "bank.",
        "bank.1",
        "bank.000001",
        "bank.-00001",
        "bank.999999",
        "bank.\x1b[2J",
        "bank.00000\u0661",
    ]
    content.update(rng.choice([
        {name: ConfigRecord(wrong)}, {name: ConfigRecord(wrong)}, {name: ConfigRecord()},
        {name: MetricRecord({"screw": 1})}, {name: ArrayRecord()}, {rng.choice(numbers): piece},
        {"bank.000001": ConfigRecord({**piece, "category": other})}, {"bank.000001": MetricRecord({"screw": 1})},
    ]))  # fmt: skip
    if rng.random() < 0.2:
        del content[name]
    return content


def change_site(content, rng):
    record = {
        "name": rng.choice(["plant-b", "Plant-A", 7, b"plant-a", "", ".", "..", "a/b", "x" * 300, "\x1b[2J", "con"])
    }
    content["site"] = rng.choice(
        [ConfigRecord(record), ConfigRecord(record), ConfigRecord(), MetricRecord({"name": 1})]
    )
    return content


def one_mutation(data, rng):
    content = content_of(data)
    kind = rng.random()
    if kind < 0.1:
        return change_record(content, rng)
    if kind < 0.15:
        return change_site(content, rng)
    return content_of(rng.choice(CHANGES)(data, rng))


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_no_mutation_of_a_message_does_harm(dtype):
    bank = replace(example_bank(rows=12, dim=4), privacy={"plant-a": example_report(epsilon=2.0)})
    agreement = Agreement(space=bank.space, dtype=dtype, budget=12)
    data = agreement.rounded(bank).to_bytes()
    assert refusal(content_of(data), agreement) == ""
    rng = random.Random(dtype)  # noqa: S311 - damage, not secrets
    outcomes = [refusal(one_mutation(data, rng), agreement) for _ in range(MUTATIONS)]
    # Some damage (a number in a row, a radius) cannot be seen; most can.
    assert 0.7 * MUTATIONS < sum(map(bool, outcomes)) < MUTATIONS


def test_no_mutation_of_an_agreement_does_harm_to_a_site():
    given = Agreement(space=example_bank().space, coreset_args={"epsilon": 0.5}, budget={"radius": 0.5, "rows": 9})
    (field,), text = given.to_record(), given.to_json()
    rng, refused = random.Random(0), 0  # noqa: S311 - damage, not secrets
    for _ in range(MUTATIONS):
        changed = rng.choice([
            lambda: json.dumps(altered(json.loads(text), rng)),
            lambda: flip(text.encode(), rng).decode(errors="replace"),
            lambda: text[: rng.randrange(len(text))],
            lambda: text.replace("{", '{"seed": 1, ', 1),
            lambda: text.replace("0.5", rng.choice(["1e999", "NaN", "-0", "9" * 5000, "[" * 5000]), 1),
            lambda: text + " " * (1 << 16),
        ])()  # fmt: skip
        try:
            taken = Agreement.from_record(ConfigRecord({field: changed}), source="the server")
        except MessageError as error:
            said = str(error)
        else:
            said = ""
            assert Agreement.from_json(taken.to_json(), source="here") == taken
        assert said.isprintable()
        assert len(said) < 700
        refused += bool(said)
    assert 0.7 * MUTATIONS < refused < MUTATIONS
