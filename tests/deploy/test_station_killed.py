"""A watching station as a process of its own: ended, killed and started again."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_model import part, save, save_model

INSPECT = [sys.executable, "-m", "anomalib_federated.cli.main", "inspect"]
PATIENCE = 60


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("exported"))


@contextmanager
def started(model: Path, folder: Path, *more: object, output: Path) -> Iterator[subprocess.Popen[str]]:
    """A station that watches ``folder`` and appends its lines to ``output``."""
    folder.mkdir(exist_ok=True)
    command = [*INSPECT, "--model", model, "--watch", folder, "--json", "--settle", "0.1", "--threads", "1", *more]
    with output.open("a") as lines:
        process = subprocess.Popen(list(map(str, command)), stdout=lines, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def read_lines(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.read_text().splitlines(keepends=True) if line.endswith("\n")]


def wait_for(output: Path, count: int) -> list[dict[str, Any]]:
    end = time.monotonic() + PATIENCE
    while len({line["number"] for line in read_lines(output)}) < count:
        assert time.monotonic() < end, read_lines(output)
        time.sleep(0.02)
    return read_lines(output)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(tmp_path: Path, model: Path, number: int) -> None:
    output, folder = tmp_path / "lines", tmp_path / "in"
    with started(model, folder, "--state", tmp_path / "state", "--mode", "throughput", output=output) as station:
        for place in range(30):
            save(folder / f"{place}.png", part(spot=255 if place % 3 == 0 else None))
        wait_for(output, 5)
        station.send_signal(number)
        _, said = station.communicate(timeout=PATIENCE)
        assert station.returncode == 0, said
    told = read_lines(output)
    snapshot = json.loads((tmp_path / "state" / "snapshot.json").read_text())
    assert snapshot["ended_well"] is True
    assert snapshot["number"] == len(told) == sum(snapshot["counts"].values())
    assert said.splitlines()[-1].startswith(f"{len(told)} inspected")
    with started(model, folder, "--state", tmp_path / "state", output=output):
        told = wait_for(output, 30)
    # Nothing is told twice after a clean end.
    assert [line["number"] for line in told] == list(range(1, 31))
    assert len({line["path"] for line in told}) == 30


@pytest.mark.parametrize("mode", ["latency", "throughput"])
def test_kills_lose_nothing_and_double_nothing(tmp_path: Path, model: Path, mode: str) -> None:
    output, folder, state = tmp_path / "lines", tmp_path / "in", tmp_path / "state"
    rng, pictures, known = np.random.default_rng(0), 90, 0
    folder.mkdir()
    for place in range(pictures):
        path = save(folder / f"{place:02d}.png", part(spot=255 if place % 3 == 0 else None))
        if place % 10 == 7:
            path.write_bytes(path.read_bytes()[:50])
    for _ in range(3):
        with started(model, folder, "--state", state, "--mode", mode, output=output) as station:
            known = len({line["number"] for line in wait_for(output, known + 15)})
            time.sleep(rng.random() * 0.03)
            station.kill()
            station.wait()
        known = len({line["number"] for line in read_lines(output)})
    with started(model, folder, "--state", state, "--mode", mode, output=output) as station:
        wait_for(output, pictures)
        time.sleep(0.5)
        station.terminate()
        assert station.wait(timeout=PATIENCE) == 0
    told = {}
    for line in read_lines(output):  # a line that comes again after a kill is the same line
        assert told.setdefault(line["number"], line) == line
    assert sorted(told) == list(range(1, pictures + 1))
    assert sorted(line["path"] for line in told.values()) == sorted(map(str, folder.iterdir()))
    cut = sum(place % 10 == 7 for place in range(pictures))
    spots = sum(place % 3 == 0 and place % 10 != 7 for place in range(pictures))
    counts = json.loads((state / "snapshot.json").read_text())["counts"]
    assert counts == {"good": pictures - cut - spots, "anomalous": spots, "error": cut}


def test_a_second_station_waits_for_the_first(tmp_path: Path, model: Path) -> None:
    folder, state = tmp_path / "in", tmp_path / "state"
    with started(model, folder, "--state", state, output=tmp_path / "first") as first:
        save(folder / "a.png", part())
        wait_for(tmp_path / "first", 1)
        with started(model, folder, "--state", state, output=tmp_path / "second") as second:
            assert second.stderr is not None
            assert "waiting for its end" in second.stderr.readline()
            save(folder / "b.png", part())
            wait_for(tmp_path / "first", 2)
            assert (tmp_path / "second").read_text() == ""
            first.terminate()
            first.wait(timeout=PATIENCE)
            save(folder / "c.png", part())
            assert [line["number"] for line in wait_for(tmp_path / "second", 1)] == [3]
