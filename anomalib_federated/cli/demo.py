"""``anomalib-federated demo``: everything once, on generated pictures."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from anomalib_federated.cli import inspect
from anomalib_federated.cli.logs import configure_logs
from anomalib_federated.cli.results_table import print_results
from anomalib_federated.evaluation.experiments.demo import FEDERATIONS, run_demo

SHOWN = ("pipe_clip", "operator")
"""Category and defect type of the picture that the demo inspects."""


def run(command: str, arguments: Sequence[str]) -> int:
    """Run the demo, print its table, and inspect one picture with the exported detector."""
    options = build_parser(command).parse_args(arguments)
    configure_logs()
    began = time.perf_counter()
    results = run_demo(options.output, seed=options.seed)
    print_results(results)
    category, defect_type = SHOWN
    detector = options.output / list(FEDERATIONS)[-1] / "openvino" / category
    picture = sorted((options.output / "data" / category / "test" / defect_type).iterdir())[0]
    inspected = options.output / "inspection"
    status = inspect.run("inspect", ["--model", str(detector), "--input", str(picture), "--overlays", str(inspected)])
    console = Console()
    console.print(f"\nIn {options.output}, after {time.perf_counter() - began:.0f} s:")
    for place, content in {
        "data/": "generated pictures and masks",
        "report.html": "all of it on one page",
        "metrics/METHOD/CATEGORY/": "figures and a gallery",
        "METHOD/bank.safetensors": "memory banks",
        "METHOD/openvino/CATEGORY/model.xml": "detectors for the inspection station",
        "inspection/": "the picture just inspected, with heat map",
    }.items():
        console.print(f"  {place:36}{content}")
    return status


def build_parser(command: str) -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(
        prog=f"anomalib-federated {command}",
        description="Generate an AutoVI-shaped data set, train centralised, federated IID and federated by category, "
        "export to OpenVINO, and inspect one picture.",
    )
    parser.add_argument(
        "--output", metavar="DIR", type=Path, default=Path("results/demo"), help="folder to write (results/demo)"
    )
    parser.add_argument("--seed", type=int, default=0, help="decides every random choice (0)")
    return parser
