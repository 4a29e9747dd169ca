"""Processes that are killed for real, and go on with the same picks as one that was not."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from anomalib_federated.patch_store import Identity, PatchStore
from anomalib_federated.selection import greedy_state
from anomalib_federated.testing import example_bank
from anomalib_federated_plugins.coreset.k_center import KCenterCoreset

pytestmark = pytest.mark.slow

SCRIPT = """
import sys, time
from pathlib import Path
import torch
from anomalib_federated.patch_store import Identity, PatchStore
from anomalib_federated.testing import example_bank
from anomalib_federated.selection import greedy_state, lazy_greedy
from anomalib_federated_plugins.coreset.k_center import KCenterCoreset
folder, pictures, pause, picks = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
greedy_state.SECONDS_BETWEEN = 0
store = PatchStore(folder, example_bank().space)
for number in range(pictures):
    if not store.holds(str(number), Identity(1, 1)):
        generator = torch.Generator().manual_seed(number)
        store.add(str(number), Identity(1, 1), torch.randn(200, 8, generator=generator))
        time.sleep(pause)
if picks:
    KCenterCoreset(budget=picks).select(store.rows(map(str, range(pictures))))
"""
PICTURES = 30


def start_and_kill(folder: Path, when, *, pause: float, picks: int = 0) -> None:
    """Run the script, and kill it as soon as ``when()``."""
    arguments = [folder, PICTURES, pause, picks]
    child = subprocess.Popen([sys.executable, "-c", SCRIPT, *map(str, arguments)])
    try:
        while not when():
            assert child.poll() is None, "it ended before it could be killed"
            time.sleep(0.002)
    finally:
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL


def complete(folder: Path) -> tuple[PatchStore, int]:
    """Add what is missing; and how many pictures were there."""
    store, found = PatchStore(folder, example_bank().space), 0
    for number in range(PICTURES):
        if store.holds(str(number), Identity(1, 1)):
            found += 1
        else:
            store.add(str(number), Identity(1, 1), torch.randn(200, 8, generator=torch.Generator().manual_seed(number)))
    return store, found


def rows_of(folder: Path):
    return complete(folder)[0].rows(map(str, range(PICTURES)))


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory):
    return KCenterCoreset(budget=1500).select(rows_of(tmp_path_factory.mktemp("unbroken")))


def test_killed_in_the_middle_of_extraction(tmp_path, unbroken):
    path = tmp_path / "pictures.jsonl"
    start_and_kill(tmp_path, lambda: path.exists() and path.stat().st_size > 300, pause=0.05)
    store, found = complete(tmp_path)
    assert 0 < found < PICTURES
    selection = KCenterCoreset(budget=1500).select(store.rows(map(str, range(PICTURES))))
    assert torch.equal(selection.indices, unbroken.indices)
    assert selection.radius == unbroken.radius


def test_killed_in_the_middle_of_a_selection(tmp_path, unbroken, monkeypatch):
    start_and_kill(tmp_path, lambda: any(tmp_path.glob("selection-*")), pause=0, picks=1500)
    loaded = []
    load = greedy_state.GreedyState.load

    def spy(self, *arguments, **settings):
        loaded.append(load(self, *arguments, **settings))
        return loaded[-1]

    monkeypatch.setattr(greedy_state.GreedyState, "load", spy)
    selection = KCenterCoreset(budget=1500).select(rows_of(tmp_path))
    assert loaded[0] is not None
    assert 1 < len(loaded[0][0]) < 1500, "the selection had not begun, or was over"
    assert torch.equal(selection.indices, unbroken.indices)
    assert torch.equal(selection.weights, unbroken.weights)
    assert selection.radius == unbroken.radius
