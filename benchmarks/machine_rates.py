"""How fast this machine reads, moves and multiplies numbers: the floors that measured times are compared with."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import torch

READ_AT_ONCE = 32 << 20
MOST_READ = 4 << 30


def machine_rates(path: Path, dim: int) -> dict[str, float]:
    """Rates of disk, memory and matrix products.

    Args:
        path: A large file to read, on the disk in question.
        dim: Inner dimension of the products.
    """
    block, other, large = torch.rand(4096, dim), torch.rand(dim, 4096), torch.rand(128 << 20)
    return {
        **_read_rates(path),
        "memory_bytes_per_second": _best_rate(4 * len(large), large.sum),
        "sgemm_flops": _best_rate(2 * 4096 * 4096 * dim, lambda: block @ other),
    }


def forget_cached(path: Path) -> None:
    """Ask the kernel to drop a file from the page cache, so that reading it means reading the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _read_rates(path: Path) -> dict[str, float]:
    """Bytes a second from the disk (as far as there is no cache below the kernel's) and from the page cache."""
    buffer, found = bytearray(READ_AT_ONCE), {}
    forget_cached(path)
    with path.open("rb", buffering=0) as file:
        for kind in ("cold", "warm"):
            file.seek(0)
            began = time.perf_counter()
            while file.tell() < MOST_READ and file.readinto(buffer):
                pass
            found[f"disk_bytes_per_second_{kind}"] = file.tell() / (time.perf_counter() - began)
    forget_cached(path)
    return found


def _best_rate(work: float, call: Callable[[], object], repeats: int = 5) -> float:
    """Most work a second."""
    rates = []
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        rates.append(work / (time.perf_counter() - began))
    return max(rates)
