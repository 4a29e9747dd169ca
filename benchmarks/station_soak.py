"""A station that watches a folder for minutes: does its memory grow, does it miss a picture or judge one twice?

A process of its own runs `anomalib-federated inspect --watch` with an exported model; pictures are renamed into the
folder at a steady rate, and every tenth is broken. With `--kills` the station is killed (SIGKILL) that many times and
started again, evenly over the run. Compared are the resident memory of the first minute after the start and of the
last, and the station's lines with what was written.

    python benchmarks/station_soak.py --model BUNDLE --category pipe_clip --pictures DATA/pipe_clip/test --minutes 10
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from statistics import median

import numpy as np
import psutil
from circumstances import circumstances

from anomalib_federated.deploy.sources.files import Files

PATIENCE = 30  # seconds without a line after which what has none counts as missed
SAMPLE = 1.0


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as place:
        print(json.dumps({**soak(options, Path(place)), **circumstances("openvino", "pillow", "numpy")}))


def soak(options: argparse.Namespace, place: Path) -> dict[str, object]:
    folder, output = place / "in", place / "lines"
    folder.mkdir()
    sources, rng = Files(options.pictures).paths, np.random.default_rng(0)
    command = [sys.executable, "-m", "anomalib_federated.cli.main", "inspect", "--model", options.model, "--json"]
    command += ["--watch", folder, "--state", place / "state", "--settle", "0", "--mode", options.mode, "--page", "0"]
    command += ["--threads", "1"] + (["--category", options.category] if options.category else [])
    station = _start(command, output)
    begun = time.monotonic()
    seconds, written, kills = 60 * options.minutes, Counter(), 0
    samples: list[tuple[float, int, int]] = []  # seconds, process, bytes
    next_sample = begun
    while (now := time.monotonic() - begun) < seconds:
        path = folder / f"{sum(written.values()):06d}.png"
        broken = rng.random() < 0.1
        _put(sources[rng.integers(len(sources))], path, broken=broken)
        written["broken" if broken else "whole"] += 1
        if kills < options.kills and now > seconds * (kills + 1) / (options.kills + 1):
            station.kill()
            station.wait()
            kills += 1
            station = _start(command, output)
        if time.monotonic() >= next_sample:
            samples.append((now, station.pid, psutil.Process(station.pid).memory_info().rss))
            next_sample += SAMPLE
        time.sleep(max(0.0, begun + sum(written.values()) / options.rate - time.monotonic()))
    finished = time.monotonic()
    seen, since = len(_told(output)), finished
    behind = sum(written.values()) - seen
    while seen < sum(written.values()) and time.monotonic() - since < PATIENCE:
        time.sleep(0.2)
        if (now_seen := len(_told(output))) > seen:
            seen, since = now_seen, time.monotonic()
    station.terminate()
    status = station.wait()
    told = _told(output)
    judged = Counter(line["path"] for line in told.values())
    counts = json.loads((place / "state" / "snapshot.json").read_text())["counts"]
    # The first seconds of a process are its start: models are read, sizes planned for.
    own = [(at, size) for at, pid, size in samples if pid == station.pid]
    first = [size for at, size in own if 10 <= at - own[0][0] < 70] or [own[0][1]]
    last = [size for at, size in own if at >= own[-1][0] - 60]
    return {
        "benchmark": "station_soak",
        "minutes": options.minutes,
        "mode": options.mode,
        "written": sum(written.values()),
        "broken": written["broken"],
        "judged": len(told),
        "behind_at_the_end": behind,
        "missed": sum(written.values()) - len(judged),
        "twice": sum(count - 1 for count in judged.values()),
        "errors": counts["error"],
        "passed_broken": written["broken"] - counts["error"],
        "counted": sum(counts.values()),
        "kills": kills,
        "exit_status": status,
        "rss_mb_first_minute": round(median(first) / 1e6, 1),
        "rss_mb_last_minute": round(median(last) / 1e6, 1),
        "median_ms": {
            stage: round(median(spent), 2)
            for stage in ("read", "prepare", "infer", "regions", "overlay")
            if (spent := [line["milliseconds"][stage] for line in told.values() if "score" in line])
        },
    }


def _start(command: list[object], output: Path) -> subprocess.Popen[bytes]:
    with output.open("ab") as lines:
        return subprocess.Popen(list(map(str, command)), stdout=lines, stderr=subprocess.DEVNULL)


def _put(source: Path, path: Path, *, broken: bool) -> None:
    """Have a picture appear whole, as a camera's software should."""
    beside = path.with_name(f".{path.name}")
    shutil.copyfile(source, beside)
    if broken:
        beside.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    beside.rename(path)


def _told(output: Path) -> dict[int, dict[str, object]]:
    """The lines by their numbers; after a kill the last one may come again."""
    lines = [json.loads(line) for line in output.read_text().splitlines(keepends=True) if line.endswith("\n")]
    return {line["number"]: line for line in lines}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--category")
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rate", type=float, default=3, help="pictures a second")
    parser.add_argument("--mode", choices=("latency", "throughput"), default="latency")
    parser.add_argument("--kills", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
