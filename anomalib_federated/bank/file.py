"""Safetensors bytes with one JSON header: the one form in which memory banks are stored and sent.

Declared sizes are checked before anything is allocated, and nothing is ever unpickled.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save, save_file
from torch import Tensor

from anomalib_federated.bank.validation import BankError
from anomalib_federated.untrusted import read_json, shown

META_KEY = "anomalib_federated.bank"
MAX_BYTES = 4 << 30
"""Largest file or message that is read: 4 GiB."""
MAX_HEADER_BYTES = 8 << 20
"""Longest header that is parsed: room for some 25,000 contributions. Parsed, it may take 30 times its bytes."""


@dataclass(frozen=True)
class Declared:
    """A tensor as the header declares it: safetensors' name of its type, such as ``F32``, and its shape."""

    dtype: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.shape} {self.dtype}"


def encode(tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> bytes:
    """Tensors and meta data (JSON values, no NaN) as safetensors bytes.

    Raises:
        BankError: If there is more meta data than would be read again.
    """
    data = save(_apart(tensors), _header(meta))
    _check_header(_header_length(data))
    return data


def write(path: Path, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
    """Write the bytes of :func:`encode` to a file, without holding them in memory.

    Raises:
        BankError: If there is more meta data than would be read again.
        OSError: If it cannot be written.
    """
    path.touch()
    mode = path.stat().st_mode  # as this process makes files; safetensors puts one in its place that nobody else reads
    try:
        save_file(_apart(tensors), path, _header(meta))
    except SafetensorError as error:
        msg = f"{path} cannot be written: {error}"
        raise OSError(msg) from error
    path.chmod(mode)
    with path.open("rb") as written:
        _check_header(_header_length(written.read(8)))


def _header(meta: Mapping[str, Any]) -> dict[str, str]:
    return {META_KEY: json.dumps(meta, sort_keys=True, allow_nan=False)}


def _apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies of all but the largest, since safetensors refuses tensors that share memory."""
    largest = max(tensors, key=lambda name: tensors[name].nbytes)
    return {
        name: tensor.contiguous().cpu()
        if name == largest
        else tensor.cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }


def _check_header(length: int) -> None:
    if length > MAX_HEADER_BYTES:
        msg = f"The memory bank has {length} bytes of meta data, more than the {MAX_HEADER_BYTES} allowed; split it."
        raise BankError(msg)


def digest(tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> str:
    """sha256 of tensors and meta data, hexadecimal; no copy of them is made."""
    form = {name: (str(tensor.dtype), tuple(tensor.shape)) for name, tensor in tensors.items()}
    found = sha256(json.dumps([meta, form], sort_keys=True, allow_nan=False).encode())
    for name in sorted(tensors):
        found.update(tensors[name].contiguous().cpu().numpy().data)
    return found.hexdigest()


def read_header(data: bytes | mmap, *, max_bytes: int = MAX_BYTES) -> tuple[dict[str, Declared], dict[str, Any]]:
    """What bytes that are not trusted declare to hold; no tensor is read.

    Returns:
        The tensors by name, and the meta data.

    Raises:
        ValueError: If the bytes or those of the header are too many, truncated or corrupt, or were not written by
            :func:`encode`.
        TypeError: If a part of the header is of an impossible type.
    """
    if len(data) > max_bytes:
        msg = f"its {len(data)} bytes are more than the {max_bytes} accepted"
        raise ValueError(msg)
    length = _header_length(data)
    if len(data) < 8 or length > len(data) - 8:
        msg = f"it is truncated: {len(data)} bytes, of which the header alone claims {length}"
        raise ValueError(msg)
    if length > MAX_HEADER_BYTES:
        msg = f"its header of {length} bytes is longer than the {MAX_HEADER_BYTES} accepted"
        raise ValueError(msg)
    try:
        read = read_json(data[8 : 8 + length])
    except ValueError as error:
        msg = f"its bytes are corrupt: {error}"
        raise ValueError(msg) from error
    header = _mapping(read, "header")
    text = _mapping(header.pop("__metadata__", {}), "header").get(META_KEY)
    if not isinstance(text, str):
        msg = f"its header has no '{META_KEY}': it is some other file"
        raise TypeError(msg)
    return {name: _declared(name, item) for name, item in header.items()}, _mapping(read_json(text), "meta data")


def read_tensors(data: bytes) -> dict[str, Tensor]:
    """The tensors in bytes whose header was checked.

    Raises:
        ValueError: If they are not where the header says, or more or fewer bytes than it says.
    """
    try:
        return load(data)
    except (SafetensorError, OverflowError, RuntimeError) as error:
        msg = f"its bytes are corrupt: {error}"
        raise ValueError(msg) from error


def header_of(path: Path) -> tuple[dict[str, Declared], dict[str, Any]]:
    """What a file declares to hold, as :func:`read_header` tells it of bytes."""
    with path.open("rb") as opened, mmap(opened.fileno(), 0, access=ACCESS_READ) as data:
        return read_header(data)


def tensors_on_disk(path: Path) -> dict[str, Tensor]:
    """The tensors in a file whose header was checked; they stay there, and are read when they are used.

    Raises:
        ValueError: If they are not where the header says, or more or fewer bytes than it says.
    """
    try:
        with safe_open(path, framework="pt") as opened:
            return {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - it is no mapping
    except (SafetensorError, OverflowError, RuntimeError) as error:
        msg = f"its bytes are corrupt: {error}"
        raise ValueError(msg) from error


def read(path: Path, *, max_bytes: int = MAX_BYTES) -> bytes:
    """The bytes of a file that is there and not too large.

    Raises:
        FileNotFoundError: If there is no such file.
        BankError: If it is larger than ``max_bytes``; nothing of it is read then.
    """
    check_file(path, max_bytes=max_bytes)
    return path.read_bytes()


def check_file(path: Path, *, max_bytes: int = MAX_BYTES) -> None:
    """Refuse a file that is not there or too large.

    Raises:
        FileNotFoundError: If there is no such file.
        BankError: If it is larger than ``max_bytes``.
    """
    if not path.is_file():
        msg = f"There is no memory bank at {path}."
        raise FileNotFoundError(msg)
    if (size := path.stat().st_size) > max_bytes:
        msg = f"{path} has {size} bytes, more than the {max_bytes} accepted for a memory bank."
        raise BankError(msg)


def _header_length(data: bytes | mmap) -> int:
    return int.from_bytes(data[:8], "little")


def _mapping(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        msg = f"its {what} is {shown(value)}, no mapping"
        raise TypeError(msg)
    return value


def _declared(name: str, item: object) -> Declared:
    fields = _mapping(item, f"tensor {shown(name)}")
    dtype, shape = fields.get("dtype"), fields.get("shape")
    sizes = isinstance(shape, list) and all(type(size) is int and size >= 0 for size in shape)
    if not isinstance(dtype, str) or not isinstance(shape, list) or not sizes:
        msg = f"its tensor {shown(name)} is declared as {shown(item)}"
        raise ValueError(msg)
    return Declared(dtype, tuple(shape))
