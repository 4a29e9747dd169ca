"""What an inspection station takes: installed size, and seconds from the command to the first verdict.

Builds the wheel, installs it with `[station]` into a fresh environment by the ordinary pip (which needs a package
index), makes sure that torch and anomalib cannot be imported there, and inspects a picture with an exported model,
several times; the first run reads everything from disk. Compared with the environment that runs this script, which has
the training stack.

    python benchmarks/station_install.py --model BUNDLE --category pipe_clip --picture PICTURE
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path
from statistics import median

from circumstances import circumstances

ROOT = Path(__file__).parents[1]
FOREIGN = ("torch", "anomalib", "flwr", "lightning", "scipy", "pandas", "cv2")


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as place:
        print(json.dumps({**measure(options, Path(place)), **circumstances("openvino", "pillow", "numpy")}))


def measure(options: argparse.Namespace, place: Path) -> dict[str, object]:
    _run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", place, cwd=ROOT)
    (wheel,) = place.glob("*.whl")
    _run(sys.executable, "-m", "venv", place / "venv")
    python = place / "venv" / "bin" / "python"
    empty = _megabytes(place / "venv")
    _run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", f"{wheel}[station]")
    _run(python, "-m", "pip", "check")
    for name in FOREIGN:
        asked = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({name!r}) is not None)"
        _run(python, "-c", asked, cwd=place)
    command = [python.with_name("anomalib-federated"), "inspect", "--model", options.model, "--input", options.picture]
    command += ["--json"] + (["--category", options.category] if options.category else [])
    seconds = [_first_verdict(command, place) for _ in range(options.runs)]
    listed = json.loads(_run(python, "-m", "pip", "list", "--format", "json", "--disable-pip-version-check"))
    return {
        "benchmark": "station_install",
        "installed_mb": round(_megabytes(place / "venv") - empty),
        "wheel_mb": round(wheel.stat().st_size / 1e6, 2),
        "packages": {one["name"]: one["version"] for one in listed},
        "this_environment_mb": round(_megabytes(Path(sysconfig.get_path("purelib")))),
        "seconds_to_first_verdict": {"first": round(seconds[0], 2), "median_later": round(median(seconds[1:]), 2)},
        "runs": options.runs,
    }


def _first_verdict(command: list[object], place: Path) -> float:
    began = time.perf_counter()
    with subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=place) as run:
        line = json.loads(run.stdout.readline() if run.stdout else "")
        seconds = time.perf_counter() - began
        run.communicate()
    if line["verdict"] not in {"good", "anomalous"}:
        sys.exit(f"The station gave no verdict: {line}")
    return seconds


def _run(*command: object, cwd: Path | None = None) -> str:
    done = subprocess.run(list(map(str, command)), check=False, capture_output=True, text=True, cwd=cwd)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def _megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink()) / 1e6


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=lambda text: Path(text).resolve(), required=True)
    parser.add_argument("--category")
    parser.add_argument("--picture", type=lambda text: Path(text).resolve(), required=True)
    parser.add_argument("--runs", type=int, default=5)
    return parser.parse_args()


if __name__ == "__main__":
    main()
