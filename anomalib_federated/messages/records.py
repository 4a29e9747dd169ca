"""What travels between sites and server: the records inside Flower messages, and the checks on arrival.

A bank travels as one ``Array`` per category whose data are the bank's safetensors bytes, the same bytes as in a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord

from anomalib_federated.bank import BankError, MemoryBank
from anomalib_federated.bank.file import MAX_BYTES
from anomalib_federated.bank.validation import MAX_NAMES, check_name
from anomalib_federated.untrusted import shown

SERIALISATION = "safetensors"
BANK, CONFIG, SITE, RADIUS, WEIGHTS, BOUND = "bank", "config", "site", "radius", "weights", "bound"
"""Names of the records in a message."""
CANDIDATES = "train.candidates"
"""Type of the message that asks for the patches which the bank in it leaves farthest."""
COUNT = "count"
"""Field of its configuration: how many of them."""

REFINE = "train.refine"
"""Type of the message that asks for more rows, where the bank in it leaves a site's patches far away."""
FIRST, BEYOND = "first", "beyond"
"""Fields of its configuration: the share of the agreed budget that was for the rows sent before; and the share of the
bank's covering radius beyond which a patch is far away."""

RecordT = TypeVar("RecordT", ArrayRecord, ConfigRecord, MetricRecord)


class MessageError(ValueError):
    """A message does not hold what was agreed."""


def bank_to_arrays(bank: MemoryBank) -> ArrayRecord:
    """One array per category, named by the category."""
    arrays = {}
    for category in bank.categories:
        data = bank.for_category(category).to_bytes()
        arrays[category] = Array(dtype="uint8", shape=(len(data),), stype=SERIALISATION, data=data)
    return ArrayRecord(arrays)


def bank_from_arrays(
    arrays: ArrayRecord, *, source: str, max_bytes: int = MAX_BYTES, max_rows: int | None = None
) -> MemoryBank:
    """Read and validate the bank in a record.

    Args:
        arrays: What :func:`bank_to_arrays` made; not trusted.
        source: Who sent it, for error messages.
        max_bytes: Refuse a category of more bytes, before decoding them.
        max_rows: Refuse a category of more rows, before decoding them; ``None`` leaves it to the limit on bytes.

    Raises:
        BankError: If there is no bank, or too many; if a category's name, form or size is not what it can be, or its
            bytes are no valid bank of that category.
    """
    if not arrays:
        msg = f"There is no bank in the message from {source}."
        raise BankError(msg)
    if len(arrays) > MAX_NAMES["categories"]:
        msg = (
            f"The message from {source} has banks of {len(arrays)} categories; send {MAX_NAMES['categories']} at most."
        )
        raise BankError(msg)
    return MemoryBank.merge(
        _bank_of(category, arrays[category], source=source, max_bytes=max_bytes, max_rows=max_rows)
        for category in sorted(arrays)
    )


def _bank_of(category: str, array: Array, *, source: str, max_bytes: int, max_rows: int | None) -> MemoryBank:
    """The bank of one category, validated."""
    label = f"The bank of category {shown(category)} from {source}"
    form = (array.stype, array.dtype, tuple(array.shape))
    if form != (SERIALISATION, "uint8", (len(array.data),)):
        msg = f"{label} is an array of {shown(form)}, not {SERIALISATION} bytes."
        raise BankError(msg)
    bank = MemoryBank.from_bytes(array.data, source=label, max_bytes=max_bytes, max_rows=max_rows)
    if bank.categories != (category,):
        msg = f"{label} holds rows of {', '.join(bank.categories)}."
        raise BankError(msg)
    return bank


def bytes_by_category(arrays: ArrayRecord) -> dict[str, int]:
    """Bytes of bank that a record carries, per category."""
    return {category: len(arrays[category].data) for category in arrays}


def record(message: Message, name: str, kind: type[RecordT]) -> RecordT:
    """A record of a message.

    Raises:
        MessageError: If the message has no such record, or one of another kind.
    """
    found = message.content.get(name)
    if not isinstance(found, kind):
        msg = f"A message from node {message.metadata.src_node_id} has no {kind.__name__} named '{name}'."
        raise MessageError(msg)
    return found


def text(config: Mapping[str, object], field: str, *, source: str) -> str:
    """A text field of a ``ConfigRecord``.

    Raises:
        MessageError: If it is absent or no text.
    """
    value = config.get(field)
    if not isinstance(value, str):
        msg = f"The message from {source} has no text in its field '{field}'."
        raise MessageError(msg)
    return value


def whole(config: Mapping[str, object], field: str, *, source: str) -> int:
    """A whole number of at least 1 in a ``ConfigRecord``.

    Raises:
        MessageError: If it is absent or no such number.
    """
    value = config.get(field)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        msg = f"The message from {source} has no whole number of at least 1 in its field '{field}'."
        raise MessageError(msg)
    return value


def share(config: Mapping[str, object], field: str, *, source: str) -> float:
    """A number in (0, 1] in a ``ConfigRecord``.

    Raises:
        MessageError: If it is absent or no such number.
    """
    value = config.get(field)
    if not isinstance(value, float) or not 0 < value <= 1:
        msg = f"The message from {source} has no number above 0 and at most 1 in its field '{field}'."
        raise MessageError(msg)
    return value


def site_record(name: str) -> ConfigRecord:
    """The record by which a site says its name; node ids change when a node restarts."""
    return ConfigRecord({"name": name})


def site_name(message: Message) -> str:
    """The name of the site that sent a message.

    Raises:
        MessageError: If the message does not say it, or it cannot be the name of a site.
    """
    source = f"node {message.metadata.src_node_id}"
    name = text(record(message, SITE, ConfigRecord), "name", source=source)
    try:
        check_name("site", name)
    except BankError as error:
        msg = f"The message from {source} does not name its site: {error}"
        raise MessageError(msg) from error
    return name
