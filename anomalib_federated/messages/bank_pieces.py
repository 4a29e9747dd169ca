"""A bank inside a Flower message: the bytes of its file, category by category, in pieces.

Each piece is a ``ConfigRecord`` of its own, since of these Flower holds hardly more bytes than a message has while it
puts the message together on arrival; of an ``Array`` it holds more than twice as many.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryFile

from flwr.app import ConfigRecord, RecordDict

from anomalib_federated.bank import BankError, MemoryBank
from anomalib_federated.bank.file import MAX_BYTES
from anomalib_federated.bank.validation import MAX_NAMES
from anomalib_federated.untrusted import shown

PIECE_BYTES = 4 << 20
"""Of each piece but the last of a category: as large as Flower cuts arrays, since a SuperLink stores each piece."""
PREFIX = "bank."
"""Of the names of the records; what follows is the number of the piece."""
CATEGORY, DATA = "category", "data"
"""Fields of each record: whose bank the piece is of, and its bytes."""


def bank_records(bank: MemoryBank, categories: Iterable[str] | None = None) -> dict[str, ConfigRecord]:
    """The records that carry a bank, by name.

    Args:
        bank: The bank.
        categories: Those of its categories that are carried; ``None`` carries all.

    Example:
        >>> from anomalib_federated.testing import example_bank
        >>> content = RecordDict(bank_records(example_bank(category="screw", rows=3)))
        >>> list(content), bank_in(content, source="here").categories
        (['bank.000000'], ('screw',))
    """
    pieces = [
        ConfigRecord({CATEGORY: category, DATA: data})
        for category in (bank.categories if categories is None else categories)
        for data in _cut(bank.for_category(category).to_bytes())
    ]
    return {_name(number): piece for number, piece in enumerate(pieces)}


def has_bank(content: RecordDict) -> bool:
    """Whether a message carries anything of a bank."""
    return any(name.startswith(PREFIX) for name in content)


def bytes_by_category(content: RecordDict) -> dict[str, int]:
    """Bytes of banks, or of what else names its category, that a message carries, per category."""
    counts: dict[str, int] = {}
    for piece in content.config_records.values():
        category, data = piece.get(CATEGORY), piece.get(DATA)
        if isinstance(category, str) and isinstance(data, bytes):
            counts[category] = counts.get(category, 0) + len(data)
    return counts


def bank_in(content: RecordDict, *, source: str, max_bytes: int = MAX_BYTES, max_rows: int | None = None) -> MemoryBank:
    """Read and validate the bank in a message.

    Args:
        content: What carries :func:`bank_records`; not trusted.
        source: Who sent it, for error messages.
        max_bytes: Refuse a category of more bytes, before putting them together.
        max_rows: Refuse a category of more rows, before decoding them; ``None`` leaves it to the limit on bytes.

    Raises:
        BankError: If there is no bank, or too many; if a piece is not what it can be; if the bytes of a category are no
            valid bank of it.
    """
    banks = []
    for category, names in _pieces_of(content, source=source, max_bytes=max_bytes).items():
        label = _label(category, source)
        data = b"".join(_data(content, name) for name in names)
        bank = MemoryBank.from_bytes(data, source=label, max_bytes=max_bytes, max_rows=max_rows)
        banks.append(_of_category(bank, category, label))
    return MemoryBank.merge(banks)


def take_bank(
    content: RecordDict, folder: Path, *, source: str, max_bytes: int = MAX_BYTES, max_rows: int | None = None
) -> MemoryBank:
    """The same, but the rows move from the message to a file without a name, and stay there.

    Args:
        content: As for :func:`bank_in`; its pieces are taken out one by one, so that memory holds no more than they do.
        folder: On the disk that takes the file, which is gone when the bank is.
        source: As for :func:`bank_in`.
        max_bytes: As for :func:`bank_in`.
        max_rows: As for :func:`bank_in`.

    Raises:
        BankError: As :func:`bank_in` does.
        OSError: If the file cannot be written.
    """
    banks = []
    for category, names in _pieces_of(content, source=source, max_bytes=max_bytes).items():
        label = _label(category, source)
        with TemporaryFile(dir=folder) as file:
            for name in names:
                file.write(_data(content, name))
                del content[name]
            file.flush()
            bank = MemoryBank.open(f"/dev/fd/{file.fileno()}", source=label, max_rows=max_rows)
        banks.append(_of_category(bank, category, label))
    return MemoryBank.merge(banks)


def _cut(data: bytes) -> Iterator[bytes]:
    for begin in range(0, len(data), PIECE_BYTES):
        yield data[begin : begin + PIECE_BYTES]


def _name(number: int) -> str:
    return f"{PREFIX}{number:06d}"


def _label(category: str, source: str) -> str:
    return f"The bank of category {shown(category)} from {source}"


def _pieces_of(content: RecordDict, *, source: str, max_bytes: int) -> dict[str, list[str]]:
    """Per category, in order of names, the names of its pieces: none is missing, each is one."""
    names = sorted(name for name in content if name.startswith(PREFIX))
    if not names:
        msg = f"There is no bank in the message from {source}."
        raise BankError(msg)
    found: dict[str, list[str]] = {}
    for number, name in enumerate(names):
        piece = content[name]
        if name != _name(number) or not isinstance(piece, ConfigRecord) or set(piece) != {CATEGORY, DATA}:
            msg = f"In the message from {source}, {shown(name)} is no piece {number} of a bank."
            raise BankError(msg)
        category, data = piece[CATEGORY], piece[DATA]
        if not isinstance(category, str) or not isinstance(data, bytes) or not 0 < len(data) <= PIECE_BYTES:
            msg = (
                f"In the message from {source}, piece {number} of a bank must name a category and hold 1 to "
                f"{PIECE_BYTES} bytes."
            )
            raise BankError(msg)
        found.setdefault(category, []).append(name)
    if len(found) > (most := MAX_NAMES["categories"]):
        msg = f"The message from {source} has banks of {len(found)} categories; send {most} at most."
        raise BankError(msg)
    for category, size in bytes_by_category(content).items():
        if size > max_bytes:
            msg = (
                f"{_label(category, source)} has {size} bytes, more than the {max_bytes} accepted for a memory bank; "
                "send no more rows than agreed."
            )
            raise BankError(msg)
    return dict(sorted(found.items()))


def _data(content: RecordDict, name: str) -> bytes:
    data = content.config_records[name][DATA]
    if not isinstance(data, bytes):
        msg = f"{name} holds no bytes."
        raise TypeError(msg)
    return data


def _of_category(bank: MemoryBank, category: str, label: str) -> MemoryBank:
    if bank.categories != (category,):
        msg = f"{label} holds rows of {', '.join(bank.categories)}."
        raise BankError(msg)
    return bank
