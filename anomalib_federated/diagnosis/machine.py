"""Devices, memory and disks."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from anomalib_federated.diagnosis.check import Check

LEAST_FREE = 10**9
"""Bytes that must be free for temporary files and results."""


def check_devices() -> Iterator[Check]:
    """Processor and memory, NVIDIA GPUs as torch sees them, devices as OpenVINO sees them."""
    yield Check(topic="devices", name="CPU", found=f"{_processor()}, {len(os.sched_getaffinity(0))} cores for us")
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    yield Check(topic="devices", name="memory", found=f"{memory / 1e9:.1f} GB")
    if find_spec("torch"):
        yield Check(topic="devices", name="CUDA", found=_cuda())
    if find_spec("openvino"):
        yield Check(topic="devices", name="OpenVINO", found=_openvino())


def check_disks() -> Iterator[Check]:
    """Free space where temporary files and results go."""
    for name, folder in (("temporary files", Path(tempfile.gettempdir())), ("this folder", Path.cwd())):
        free = shutil.disk_usage(folder).free
        lacking = free < LEAST_FREE
        yield Check(
            topic="disk",
            name=name,
            found=f"{free / 1e9:.1f} GB free in {folder}",
            problem=f"there is less than {LEAST_FREE / 1e9:.0f} GB free in {folder}" if lacking else "",
            mend="make room there, or set TMPDIR to another disk" if lacking else "",
        )


def _processor() -> str:
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text(errors="replace").splitlines() if listing.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _cuda() -> str:
    torch = import_module("torch")
    if not torch.cuda.is_available():
        return "none that torch sees; everything runs on the CPU"
    devices = [torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count())]
    return ", ".join(f"{device.name}, {device.total_memory / 1e9:.0f} GB" for device in devices)


def _openvino() -> str:
    core = import_module("openvino").Core()
    return ", ".join(f"{name} ({core.get_property(name, 'FULL_DEVICE_NAME')})" for name in core.available_devices)
