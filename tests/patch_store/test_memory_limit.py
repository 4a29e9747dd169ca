"""A process that selects from more rows than fit under its limit stays under it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

SCRIPT = """
import json, os, re, sys
from pathlib import Path
import torch
from anomalib_federated.memory import MemoryLimit, selection_bytes, used_bytes
from anomalib_federated.patch_store import Identity, PatchStore
from anomalib_federated.testing import example_bank
from anomalib_federated_plugins.coreset.k_center import KCenterCoreset
dim, count, pictures, picks, room = 256, 30_000, 20, 20, 40_000_000
folder, space = Path(sys.argv[1]), example_bank(dim=256).space
store = PatchStore(folder, space)
store.add("000", Identity(1, 1), torch.randn(count, dim, generator=torch.Generator().manual_seed(0)))
store.close()
# The other pictures are a hole in the file, which is quickly written and read as zeros.
os.truncate(folder / "features.bin", pictures * count * dim * 2)
lines = folder / "pictures.jsonl"
line = lines.read_text()
lines.write_text("".join(line.replace('"000"', f'"{number:03d}"') for number in range(pictures)))
rows = count * pictures
needed = selection_bytes((rows, dim), picks=picks)
limit = used_bytes() + needed + room
left = MemoryLimit(limit).check(needed)
stored = PatchStore(folder, space).rows((f"{number:03d}" for number in range(pictures)), resident_bytes=left)
selection = KCenterCoreset(budget=picks).select(stored)
# Not ru_maxrss: that of a child begins at what its parent had.
peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024
print(json.dumps({
    "peak": peak, "limit": limit, "room": needed + room, "features": 4 * rows * dim,
    "rows": len(stored), "picks": len(selection.indices),
    "resident": left, "radius": selection.radius,
}))
"""


def test_the_peak_stays_under_the_limit(tmp_path):
    child = subprocess.run([sys.executable, "-c", SCRIPT, tmp_path], capture_output=True, text=True, check=True)
    figures = json.loads(child.stdout)
    assert figures["rows"] == 600_000
    assert figures["picks"] == 20
    assert figures["features"] > 10 * figures["resident"]
    assert figures["features"] > figures["room"]
    assert figures["peak"] <= figures["limit"]
    assert figures["radius"] > 1
