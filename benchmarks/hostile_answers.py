"""What a hostile plant may answer when it is asked for its bank, and what the centre must say to it."""

from __future__ import annotations

import random
import re
import struct
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from flwr.app import RecordDict
from flwr.common.serde import recorddict_to_proto

from anomalib_federated.bank import BankError, MemoryBank
from anomalib_federated.messages import MessageError
from anomalib_federated.messages.agreement import Agreement
from anomalib_federated.messages.replies import take_site_bank
from anomalib_federated.testing import example_bank
from tests.federation.hostile import content_of, pack, reply_of, unpack
from tests.federation.test_mutations import CHANGES

MUTATIONS = 20


@dataclass(frozen=True, kw_only=True)
class HostileAnswer:
    """An answer.

    Attributes:
        fault: What is wrong with it.
        content: Of the message.
        why: Pattern of the sentence by which it is refused.
    """

    fault: str
    content: RecordDict
    why: str


def hostile_answers(own: MemoryBank, other: MemoryBank) -> Iterator[HostileAnswer]:
    """Answers that no centre may take.

    Args:
        own: The bank that the plant would send if it were honest, of one category.
        other: That of another plant.
    """
    (site,), (category,) = own.sites, own.categories
    honest, rows = own.to_bytes(), 10 * len(own)
    many = replace(example_bank(rows=rows, dim=own.space.dim, site=site, category=category), space=own.space)
    resized = replace(own, space=replace(own.space, backbone="resnet18"))
    told = tuple(replace(each, site=other.sites[0]) for each in own.contributions)
    borrowed = replace(own, sites=other.sites, contributions=told)
    for fault, data, why in (
        ("rows that are no numbers", with_nan(honest), "finite"),
        (
            "10 times the agreed rows",
            many.to(torch.float16).to_bytes(),
            f"holds {rows} rows, but at most|accepted for a memory bank",
        ),
        ("rows of another backbone", resized.to_bytes(), "backbone"),
        ("a claim of 2 GB in 1 kB", struct.pack("<Q", 2 << 30) + bytes(1000), "truncated"),
        ("a claim of rows worth 2 GB", with_rows(honest, (2 << 30) // (2 * own.space.dim)), "rows, but at most"),
        ("rows of another site", borrowed.to_bytes(), "it says are of"),
    ):
        yield HostileAnswer(fault=fault, content=content_of(data, category, site=site), why=why)


def mutations(own: MemoryBank, agreement: Agreement) -> Iterator[HostileAnswer]:
    """Damaged answers of which the damage can be seen, each with the very words that the checks have for it in process.

    Args:
        own: The bank that the plant would send if it were honest.
        agreement: What the centre asks for.
    """
    (site,), (category,) = own.sites, own.categories
    data, rng, found = own.to_bytes(), random.Random(0), 0  # noqa: S311 - damage, not secrets
    while found < MUTATIONS:
        change = rng.choice(CHANGES)
        content = content_of(change(data, rng), category, site=site)
        if why := refusal(content, agreement):
            found += 1
            yield HostileAnswer(fault=f"mutation {found}: {change.__name__}", content=content, why=re.escape(why))


def refusal(content: RecordDict, agreement: Agreement) -> str:
    """What the checks say of an answer; nothing if they take it, since some damage cannot be seen."""
    try:
        take_site_bank(reply_of(RecordDict(content)), agreement, Path(tempfile.gettempdir()))  # takes pieces out
    except (BankError, MessageError) as error:
        return str(error)
    return ""


def impersonation(own: MemoryBank, other: MemoryBank) -> HostileAnswer:
    """The bank of another plant, under its name."""
    (mine,), (site,), (category,) = own.sites, other.sites, other.categories
    content = content_of(other.to_bytes(), category, site=site)
    return HostileAnswer(
        fault="another site's name", content=content, why=f"is registered as '{mine}', but speaks for site '{site}'"
    )


def prepare(answers: Sequence[HostileAnswer], folder: Path) -> None:
    """Lay answers down, for a plant to give in this order."""
    folder.mkdir()
    for number, answer in enumerate(answers):
        (folder / f"{number:03d}").write_bytes(recorddict_to_proto(answer.content).SerializeToString())


def with_nan(data: bytes) -> bytes:
    """A bank's bytes whose first row begins with no number."""
    header, meta, body = unpack(data)
    first, _ = header["features"]["data_offsets"]
    return pack(header, meta, body[:first] + struct.pack("<e", float("nan")) + body[first + 2 :])


def with_rows(data: bytes, rows: int) -> bytes:
    """A bank's bytes that claim more rows than there are."""
    header, meta, body = unpack(data)
    tensors = {}
    for name, tensor in header.items():
        first, last = tensor["data_offsets"]
        size = (last - first) // tensor["shape"][0] if tensor["shape"] else 0
        tensors[name] = tensor | {"shape": [rows, *tensor["shape"][1:]], "data_offsets": [0, rows * size]}
    return pack(tensors, meta, body)
