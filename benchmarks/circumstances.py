"""What a figure is worth nothing without: machine, threads, versions."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version

import psutil
import torch


def circumstances(*packages: str) -> dict[str, object]:
    """What every JSON line ends with.

    Args:
        packages: Distributions besides torch whose versions matter.
    """
    memory = psutil.virtual_memory().total / 1e9
    return {
        "threads": torch.get_num_threads(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GB",
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        **{package: version(package) for package in ("torch", *packages)},
    }
