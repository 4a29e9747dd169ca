"""The options of all commands that run an exported model; nothing here needs a training stack."""

from __future__ import annotations

import argparse
from pathlib import Path

from anomalib_federated.deploy.calibration import Calibration
from anomalib_federated.deploy.station import Mode, Station


def add_station_options(parser: argparse.ArgumentParser) -> None:
    """Add what decides how a model runs."""
    parser.add_argument(
        "--model", type=Path, required=True, metavar="DIR", help="exported bundle, a category's folder, or model.xml"
    )
    parser.add_argument("--category", metavar="NAME", help="which category, if the bundle holds several")
    parser.add_argument("--device", default="CPU", help="OpenVINO device (CPU)")
    parser.add_argument("--threads", type=int, metavar="N", help="threads of all inferences (OpenVINO decides)")


def open_station(options: argparse.Namespace, *, calibration: Calibration | None = None, mode: Mode) -> Station:
    """The station that the options describe.

    Args:
        options: What was asked for.
        calibration: Thresholds of the station.
        mode: Whether one picture is to be fast, or many.

    Raises:
        FileNotFoundError: There is no model.
        ValueError: The model or the calibration cannot be used.
    """
    return Station(
        options.model,
        category=options.category,
        calibration=calibration,
        mode=mode,
        device=options.device,
        threads=options.threads,
    )
