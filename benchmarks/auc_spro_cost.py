"""CPU time and memory of one computation in this process."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Cost(Generic[T]):
    """What a computation took.

    Attributes:
        result: What it returned.
        seconds: CPU seconds of this process and all that it started, less those off the clock.
        extra_bytes: How far memory rose above what was resident before.
    """

    result: T
    seconds: float
    extra_bytes: int


class OffTheClock:
    """Items whose making is no part of the time."""

    seconds = 0.0

    def take(self, items: Iterable[T]) -> Iterator[T]:
        """The items, one by one."""
        began = time.process_time()
        for item in items:
            self.seconds += time.process_time() - began
            yield item
            began = time.process_time()
        self.seconds += time.process_time() - began


def cost_of(call: Callable[[OffTheClock], T]) -> Cost[T]:
    """Call and measure; Linux only.

    Args:
        call: What to measure; may take its input through the given :class:`OffTheClock`.
    """
    off = OffTheClock()
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark begins anew
    resident, began = _status("VmRSS"), _cpu_seconds()
    result = call(off)
    seconds = _cpu_seconds() - began - off.seconds
    return Cost(result=result, seconds=seconds, extra_bytes=_status("VmHWM") - resident)


def _cpu_seconds() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))
