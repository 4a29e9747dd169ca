"""``anomalib-federated bench``: how fast the station is on this machine; needs no training stack."""

from __future__ import annotations

import argparse
import json
import platform
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import openvino as ov

from anomalib_federated.cli.station_options import add_station_options, open_station
from anomalib_federated.deploy.judge import Judge
from anomalib_federated.deploy.overlay_folder import OverlayFolder
from anomalib_federated.deploy.sources.files import Files
from anomalib_federated.deploy.station import Mode, Tiling
from anomalib_federated.deploy.timing import PERCENTILES, draw_pictures, time_station

MODES: tuple[Mode, ...] = ("latency", "throughput")


def run(command: str, arguments: Sequence[str]) -> int:
    """Time a model in both modes, and print a table or JSON."""
    options = build_parser(command).parse_args(arguments)
    try:
        found = _measure(options)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    sys.stdout.write(f"{json.dumps(found)}\n" if options.json else _table(found))
    return 0


def build_parser(command: str) -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(
        prog=f"anomalib-federated {command}",
        description="Time an exported model on this machine: milliseconds per stage, pictures a second.",
    )
    add_station_options(parser)
    parser.add_argument("--input", type=Path, metavar="PATH", help="a picture or a folder of them (drawn ones)")
    parser.add_argument("--size", type=_size, default=(750, 1000), metavar="WxH", help="of drawn pictures (1000x750)")
    parser.add_argument("--pictures", type=int, default=100, metavar="N", help="pictures to time per mode (100)")
    parser.add_argument("--overlays", action="store_true", help="time drawing and writing overlays too")
    parser.add_argument("--json", action="store_true", help="print a JSON object instead of a table")
    return parser


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if not found or "0" in found.groups():
        msg = f"{text!r} is no size: give width and height, such as 1000x750"
        raise argparse.ArgumentTypeError(msg)
    return int(found[2]), int(found[1])


def _measure(options: argparse.Namespace) -> dict[str, Any]:
    core = ov.Core()
    found: dict[str, Any] = {"modes": {}}
    with TemporaryDirectory() as place:
        drawn = options.input is None
        paths = draw_pictures(Path(place), size=options.size) if drawn else Files(options.input).paths
        for mode in MODES:
            station = open_station(options, mode=mode)
            overlays = None
            if options.overlays:
                overlays = OverlayFolder(Path(place, "overlays"), root=Path(place) if drawn else _root(options.input))
            timing = time_station(Judge(station, overlays=overlays), paths, pictures=options.pictures)
            found["modes"][mode] = {**asdict(timing), "threads": station.threads}
            found["category"], found["model"] = station.category, station.version
            found["tiling"] = None if station.tiling is None else asdict(station.tiling)
    return {
        **found,
        "input": f"drawn, {options.size[1]}x{options.size[0]}" if drawn else str(options.input),
        "device": options.device,
        "processor": core.get_property(options.device, "FULL_DEVICE_NAME"),
        "openvino": ov.__version__,
        "python": platform.python_version(),
        "system": platform.platform(),
    }


def _root(path: Path) -> Path:
    return path if path.is_dir() else path.parent


def _table(found: Mapping[str, Any]) -> str:
    cut = f" in {Tiling(**found['tiling'])}" if found["tiling"] else ""
    lines = [
        f"{found['category']}, model {found['model']}; pictures: {found['input']}{cut}",
        f"{found['processor']} ({found['device']}), OpenVINO {found['openvino']}, Python {found['python']}",
    ]
    for mode, timing in found["modes"].items():
        streams = f"{timing['streams']} picture{'s' if timing['streams'] > 1 else ''} at once"
        lines += [
            "",
            f"{mode}: {timing['per_second']:.1f} pictures a second, {streams}, {timing['threads']} threads, "
            f"{timing['pictures']} pictures",
            f"  {'milliseconds':<12}" + "".join(f"{f'p{percentile}':>10}" for percentile in PERCENTILES),
        ]
        for stage, values in timing["milliseconds"].items():
            lines.append(f"  {stage:<12}" + "".join(f"{values[percentile]:>10.2f}" for percentile in PERCENTILES))
    return "\n".join(lines) + "\n"
