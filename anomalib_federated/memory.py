"""How much memory this process and its workers use, and how much more they may take."""

from __future__ import annotations

import gc
import re
from dataclasses import dataclass

import psutil

UNITS = {
    "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30, "TIB": 1 << 40,
}  # fmt: skip

SELECTION_BYTES = 400 * 10**6
"""Of a selection, whatever its rows: two blocks that are read ahead, and distances within a pool of 4096 rows."""
BYTES_PER_ROW = 32
"""Of a selection: a row's norm, distance and owner, and copies of them while they are sorted or saved."""
COPIES_OF_PICKS = 4
"""float32 copies of all picked rows that exist at once when the covering is measured."""
ROWS_OF_POOL = 10 * 4096
"""float32 rows that a pool of 4096 rows takes: the rows and their owners as read, both in float64, their difference."""


class MemoryLimitError(RuntimeError):
    """More memory is used than allowed."""


def parse_bytes(value: int | str) -> int:
    """Read a size.

    Args:
        value: Bytes, or a number with a unit: ``4GB`` is 4 x 10**9 bytes, ``4GiB`` is 4 x 2**30.

    Raises:
        ValueError: If it is neither, or not above 0.

    Example:
        >>> parse_bytes("1.5 GB"), parse_bytes("2MiB"), parse_bytes(7)
        (1500000000, 2097152, 7)
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", str(value))
    unit = UNITS.get(match[2].upper() or "B") if match else None
    size = int(float(match[1]) * unit) if match and unit else 0
    if isinstance(value, bool) or size < 1:
        msg = f"memory is {value!r}; give a size such as 4GB (10**9 bytes each), 4GiB (2**30) or a number of bytes."
        raise ValueError(msg)
    return size


def used_bytes() -> int:
    """Resident memory of this process and all that it started; pages that they share count for each."""
    process = psutil.Process()
    total = int(process.memory_info().rss)
    for child in process.children(recursive=True):
        try:
            total += int(child.memory_info().rss)
        except psutil.NoSuchProcess:
            continue  # it ended since it was listed
    return total


def selection_bytes(shape: tuple[int, int], *, picks: int) -> int:
    """Memory that selecting ``picks`` of ``(n, d)`` rows takes beside the rows themselves."""
    n, d = shape
    return SELECTION_BYTES + BYTES_PER_ROW * n + 4 * d * (COPIES_OF_PICKS * picks + ROWS_OF_POOL)


@dataclass(frozen=True)
class MemoryLimit:
    """What this process and its workers may use.

    Args:
        limit: Bytes; ``None`` leaves half of what the machine has free to others.

    Example:
        >>> MemoryLimit.of("4GB")
        MemoryLimit(limit=4000000000)
    """

    limit: int | None = None

    @classmethod
    def of(cls, value: str | int | None) -> MemoryLimit:
        """Read a limit as configurations write it.

        Raises:
            ValueError: If it is not a size.
        """
        return cls(None if value is None else parse_bytes(value))

    def check(self, needed: int = 0) -> int:
        """Bytes that are left once ``needed`` more are taken.

        Raises:
            MemoryLimitError: If that is more than the limit.
        """
        if self.limit is None:
            return max(0, int(psutil.virtual_memory().available) // 2 - needed)
        left = self.limit - used_bytes() - needed
        if left < 0:
            gc.collect()
            left = self.limit - used_bytes() - needed
        if left < 0:
            msg = (
                f"The process and its workers use {_megabytes(used_bytes())} and need {_megabytes(needed)} more, but "
                f"the memory limit is {_megabytes(self.limit)}: raise it, or lower train_batch_size, image_size or "
                f"num_workers."
            )
            raise MemoryLimitError(msg)
        return left


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
