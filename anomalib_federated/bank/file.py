"""Safetensors bytes with one JSON header: the one form in which memory banks are stored and sent.

Declared sizes are checked before anything is allocated, and nothing is ever unpickled.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from anomalib_federated.bank.validation import BankError

META_KEY = "anomalib_federated.bank"
MAX_BYTES = 4 << 30
"""Largest file or message that is read: 4 GiB."""


def encode(tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> bytes:
    """Tensors and meta data (JSON values, no NaN) as safetensors bytes."""
    header = {META_KEY: json.dumps(meta, sort_keys=True, allow_nan=False)}
    # Copies, since safetensors refuses tensors that share memory.
    return save({name: tensor.contiguous().cpu().clone() for name, tensor in tensors.items()}, header)


def decode(data: bytes, *, max_bytes: int = MAX_BYTES) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and meta data out of bytes that are not trusted.

    Raises:
        ValueError: If the bytes are too many, truncated or corrupt, or were not written by :func:`encode`.
        TypeError: If the meta data is no mapping.
    """
    if len(data) > max_bytes:
        msg = f"its {len(data)} bytes are more than the {max_bytes} accepted"
        raise ValueError(msg)
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > len(data) - 8:
        msg = f"it is truncated: {len(data)} bytes, of which the header alone claims {length}"
        raise ValueError(msg)
    try:
        meta = json.loads(json.loads(data[8 : 8 + length])["__metadata__"][META_KEY])
        tensors = load(data)
    except KeyError as error:
        msg = f"its header has no {error}: it is some other file"
        raise ValueError(msg) from error
    except (SafetensorError, UnicodeDecodeError, TypeError, RecursionError) as error:
        msg = f"its bytes are corrupt: {error}"
        raise ValueError(msg) from error
    if not isinstance(meta, dict):
        msg = "its meta data is no mapping"
        raise TypeError(msg)
    return tensors, meta


def read(path: Path, *, max_bytes: int = MAX_BYTES) -> bytes:
    """The bytes of a file that is there and not too large.

    Raises:
        FileNotFoundError: If there is no such file.
        BankError: If it is larger than ``max_bytes``; nothing of it is read then.
    """
    if not path.is_file():
        msg = f"There is no memory bank at {path}."
        raise FileNotFoundError(msg)
    if (size := path.stat().st_size) > max_bytes:
        msg = f"{path} has {size} bytes, more than the {max_bytes} accepted for a memory bank."
        raise BankError(msg)
    return path.read_bytes()
