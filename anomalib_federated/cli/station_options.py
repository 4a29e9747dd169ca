"""The options of all commands that run an exported model; nothing here needs a training stack."""

from __future__ import annotations

import argparse
from pathlib import Path

from anomalib_federated.deploy.calibration import Calibration
from anomalib_federated.deploy.station import Mode, Station, Tiling


def add_station_options(parser: argparse.ArgumentParser) -> None:
    """Add what decides how a model runs."""
    parser.add_argument(
        "--model", type=Path, required=True, metavar="DIR", help="exported bundle, a category's folder, or model.xml"
    )
    parser.add_argument("--category", metavar="NAME", help="which category, if the bundle holds several")
    parser.add_argument("--device", default="CPU", help="OpenVINO device (CPU)")
    parser.add_argument("--threads", type=int, metavar="N", help="threads of all inferences (OpenVINO decides)")
    parser.add_argument(
        "--tile", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"), help="judge pictures in tiles of this size in pixels"
    )
    parser.add_argument("--overlap", type=int, default=0, metavar="PIXELS", help="of neighbouring tiles, at least (0)")


def open_station(options: argparse.Namespace, *, calibration: Calibration | None = None, mode: Mode) -> Station:
    """The station that the options describe.

    Args:
        options: What was asked for.
        calibration: Thresholds of the station.
        mode: Whether one picture is to be fast, or many.

    Raises:
        FileNotFoundError: There is no model.
        ValueError: The model, the calibration or the tiles cannot be used.
    """
    return Station(
        options.model,
        category=options.category,
        calibration=calibration,
        tiling=_tiling(options),
        mode=mode,
        device=options.device,
        threads=options.threads,
    )


def _tiling(options: argparse.Namespace) -> Tiling | None:
    if options.tile is not None:
        return Tiling(height=options.tile[0], width=options.tile[1], overlap=options.overlap)
    if options.overlap:
        msg = f"--overlap {options.overlap} is of tiles, but there are none: give --tile HEIGHT WIDTH too."
        raise ValueError(msg)
    return None
