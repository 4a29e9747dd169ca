"""What can be seen of a process that somebody else started, and that may end at any moment."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import psutil

PROGRAMS = ("flower-", "flwr-", "gate.py")
"""How the names of a deployment's programs begin; they start others for a moment, to ask what machine this is."""


def lives(process: psutil.Process) -> bool:
    """Whether a process runs; one that has ended, and that nobody has waited for, does not."""
    with suppress(psutil.NoSuchProcess):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False


def program_of(process: psutil.Process) -> str:
    """The script that a process runs; nothing if it has ended."""
    with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
        words = [Path(word).name for word in process.cmdline()[:2]]
        return words[-1] if words else ""
    return ""


def peak_bytes_of(process: psutil.Process) -> int:
    """Its high-water mark by the kernel; 0 if it has ended."""
    with suppress(OSError, StopIteration):
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    return 0
