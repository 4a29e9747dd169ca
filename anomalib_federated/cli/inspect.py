"""``anomalib-federated inspect``: the inspection station, which needs no training stack."""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import sys
import warnings
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from anomalib_federated.cli.say import say
from anomalib_federated.cli.station_options import add_station_options, open_station
from anomalib_federated.deploy.calibration import Calibration
from anomalib_federated.deploy.drift import ScoreDrift
from anomalib_federated.deploy.inspecting import inspect_all, stopped_by_signals
from anomalib_federated.deploy.inspection import in_words
from anomalib_federated.deploy.journal import Journal
from anomalib_federated.deploy.judge import Judge
from anomalib_federated.deploy.overlay_folder import OverlayFolder
from anomalib_federated.deploy.page.board import Board
from anomalib_federated.deploy.page.server import LOCAL, serve_page
from anomalib_federated.deploy.sources.camera import INTERVAL, open_camera
from anomalib_federated.deploy.sources.files import Files
from anomalib_federated.deploy.sources.frame import Source
from anomalib_federated.deploy.sources.watched_folder import SETTLE, WatchedFolder
from anomalib_federated.sole_writer import sole_writer


def run(command: str, arguments: Sequence[str]) -> int:
    """Inspect pictures.

    Returns:
        Exit status: 0 when every file got a verdict, or when a watching station was stopped; 2 when a file got none, or
        nothing could be inspected.
    """
    options = build_parser(command).parse_args(arguments)
    # A damaged picture gets a line of its own, which says what is wrong.
    warnings.filterwarnings("ignore", module="PIL")
    logging.basicConfig(format="%(message)s", level=logging.INFO, stream=sys.stderr)
    try:
        return _inspect(options)
    except (OSError, ValueError) as error:
        say(f"error: {error}", sys.stderr)
        return 2


def build_parser(command: str) -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(
        prog=f"anomalib-federated {command}",
        description="Judge pictures with an exported model, on a CPU, without torch. Files are judged once; a watched "
        "folder or a camera until SIGINT or SIGTERM.",
    )
    add_station_options(parser)
    parser.add_argument("--calibration", type=Path, metavar="FILE", help="thresholds of this station, and drift watch")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--input", type=Path, metavar="PATH", help="a picture, or a folder of them")
    where.add_argument("--watch", type=Path, metavar="DIR", help="a folder into which pictures are written")
    where.add_argument("--camera", metavar="URL", help="http(s):// URL of a picture or MJPEG; device or rtsp:// URL")
    parser.add_argument(
        "--mode", choices=("latency", "throughput"), default="latency", help="one picture fast, or many (latency)"
    )
    parser.add_argument("--json", action="store_true", help="print a JSON object per picture, all else on stderr")
    parser.add_argument("--overlays", type=Path, metavar="DIR", help="write a picture with heat map for each")
    parser.add_argument("--state", type=Path, metavar="DIR", help="keep counts and what was judged over restarts")
    parser.add_argument("--page", type=int, metavar="PORT", help="show a page on this port (0 takes a free one)")
    parser.add_argument("--page-host", default=LOCAL, metavar="HOST", help=f"who may see it ({LOCAL}: this machine)")
    parser.add_argument(
        "--settle",
        type=float,
        default=SETTLE,
        metavar="S",
        help=f"a watched file is written after S still s ({SETTLE})",
    )
    parser.add_argument(
        "--interval",
        type=float,
        default=INTERVAL,
        metavar="S",
        help=f"seconds between a camera's pictures ({INTERVAL})",
    )
    return parser


def _inspect(options: argparse.Namespace) -> int:
    _keep_apart(options)
    with ExitStack() as open_things:
        stop = open_things.enter_context(stopped_by_signals())
        overlays = None
        if options.overlays is not None:
            overlays = OverlayFolder(options.overlays, root=_root(options))
        if options.state is not None:
            options.state.mkdir(parents=True, exist_ok=True)
            open_things.enter_context(sole_writer(options.state))
        calibration = None if options.calibration is None else Calibration.load(options.calibration)
        journal = Journal(options.state, source=_name(options), drift=_drift(calibration))
        source = _source(options, journal.record.judged)
        station = open_station(options, calibration=calibration, mode=options.mode)
        judge = Judge(station, overlays=overlays, show=options.page is not None)
        board = None
        if options.page is not None:
            board = Board(station, journal.record, source=source.name, folder=options.state)
            address = open_things.enter_context(serve_page(board, host=options.page_host, port=options.page))
            say(f"The page is at {address}", sys.stderr)
        spent: deque[float] = deque(maxlen=1000)
        before = journal.record.counts.copy()

        def tell(line: Mapping[str, Any]) -> None:
            for said in (_json(line),) if options.json else in_words(line):
                say(said)
            if line["verdict"] != "error":
                spent.append(line["milliseconds"]["prepare"] + line["milliseconds"]["infer"])

        inspect_all(source, judge, journal, tell=tell, stop=stop, onlooker=board)
        journal.close()
    counts = journal.record.counts
    median = f"{statistics.median(spent):.1f} ms" if spent else "none"
    inspected = counts["good"] + counts["anomalous"]
    summary = f"{inspected} inspected, {counts['anomalous']} anomalous, {counts['error']} unreadable, median {median}"
    say(summary, sys.stderr if options.json else sys.stdout)
    if not isinstance(source, Files):
        return 0
    judged = inspected - before["good"] - before["anomalous"]
    return 0 if judged == len(source.paths) else 2


def _keep_apart(options: argparse.Namespace) -> None:
    """The page's small pictures lie in the state: they are no parts, and are deleted there."""
    pictures = options.watch or options.input
    if options.state is None or pictures is None:
        return
    state, pictures = options.state.resolve(), pictures.resolve()
    if pictures.is_relative_to(state) or (pictures.is_dir() and state.is_relative_to(pictures)):
        msg = f"The state in {state} and the pictures in {pictures} must lie apart: give another folder as --state."
        raise ValueError(msg)


def _name(options: argparse.Namespace) -> str:
    """Where the pictures come from, without a password."""
    if options.camera is not None:
        return open_camera(options.camera, interval=options.interval).name
    return str(options.input or options.watch)


def _json(line: Mapping[str, Any]) -> str:
    # All else that no terminal should get is escaped by JSON itself.
    return json.dumps(line).replace("\x7f", "\\u007f")


def _source(options: argparse.Namespace, judged: dict[str, str]) -> Source:
    if options.input is not None:
        return Files(options.input, skip=options.overlays)
    if options.watch is not None:
        return WatchedFolder(options.watch, judged, settle=options.settle, skip=options.overlays)
    return open_camera(options.camera, interval=options.interval)


def _drift(calibration: Calibration | None) -> ScoreDrift | None:
    if calibration is None:
        return None
    try:
        return ScoreDrift(calibration)
    except ValueError as error:
        say(f"Drift is not watched: {error}", sys.stderr)
        return None


def _root(options: argparse.Namespace) -> Path | None:
    """The folder that the pictures lie in."""
    folder: Path | None = options.watch
    if options.input is not None:
        folder = options.input if options.input.is_dir() else options.input.parent
    return folder
