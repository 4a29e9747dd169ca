"""Run a function in a process of its own and watch how much memory it takes, with all that it starts."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil

SECONDS_BETWEEN = 0.05


@dataclass(frozen=True, kw_only=True)
class PeakMemory:
    """The most memory that was resident at once.

    Attributes:
        peak_bytes_sampled: Of the process and all that it started, as sampled; pages that they share count for each.
        peak_bytes_kernel: Of the process alone, as the kernel kept it.
        samples: How often it was looked at.
    """

    peak_bytes_sampled: int
    peak_bytes_kernel: int
    samples: int


def run_watched(function: Callable[..., Any], *arguments: object) -> tuple[Any, PeakMemory]:
    """Call a function of a module in a fresh process.

    Returns:
        What it returned, and the memory that the process took from its start to its end.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_call, args=(sender, function, *arguments))
    child.start()
    peak, samples, process = 0, 0, psutil.Process(child.pid)
    while child.is_alive():
        peak, samples = max(peak, _tree_bytes(process)), samples + 1
        child.join(SECONDS_BETWEEN)
    if child.exitcode:
        sys.exit(f"The watched process failed with exit code {child.exitcode}; what it wrote above says why.")
    result, kernel_peak = receiver.recv()
    return result, PeakMemory(peak_bytes_sampled=peak, peak_bytes_kernel=kernel_peak, samples=samples)


def _call(results: Connection, function: Callable[..., Any], *arguments: object) -> None:
    results.send((function(*arguments), _kernel_peak()))


def _kernel_peak() -> int:
    """High-water mark of this process; unlike getrusage's, without what the process that started it once used."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def _tree_bytes(process: psutil.Process) -> int:
    total = 0
    for member in _tree(process):
        try:
            total += member.memory_info().rss
        except psutil.NoSuchProcess:
            continue  # it ended since it was listed
    return total


def _tree(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
