"""``anomalib-federated calibrate``: a station's thresholds from its own good pictures; needs no training stack."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

from anomalib_federated.cli.say import say
from anomalib_federated.cli.station_options import add_station_options, open_station
from anomalib_federated.deploy.calibration import Calibration, calibrate
from anomalib_federated.deploy.exported_model import last_line
from anomalib_federated.deploy.outliers import far_out
from anomalib_federated.deploy.sources.files import Files
from anomalib_federated.deploy.station import Station
from anomalib_federated.false_alarms import (
    CONFIDENCE,
    OPERATING_POINTS,
    expecting,
    making_sure,
    pictures_expected,
    pictures_needed,
)
from anomalib_federated.pictures import read_image

MOST_SHOWN = 10
"""Pictures that stand far out, of which paths are printed."""


def run(command: str, arguments: Sequence[str]) -> int:
    """Score good pictures and write the calibration.

    Returns:
        Exit status: 0 when the file was written; 2 when a picture got no score or the pictures are too few to be sure,
        and then nothing is written.
    """
    options = build_parser(command).parse_args(arguments)
    warnings.filterwarnings("ignore", module="PIL")  # a damaged picture is told of by our own error
    try:
        _calibrate(options)
    except (OSError, ValueError) as error:
        say(f"error: {error}", sys.stderr)
        return 2
    return 0


def build_parser(command: str) -> argparse.ArgumentParser:
    """The command's options."""
    parser = argparse.ArgumentParser(
        prog=f"anomalib-federated {command}",
        description="Set the thresholds of a station from pictures of good parts that it took itself. Nothing is "
        "trained; give the file to 'inspect --calibration'.",
    )
    add_station_options(parser)
    parser.add_argument("--input", type=Path, required=True, metavar="DIR", help="pictures of good parts, each once")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="receives the calibration, JSON")
    wish = parser.add_mutually_exclusive_group()
    wish.add_argument(
        "--false_alarm_rate",
        type=float,
        default=0.05,
        metavar="RATE",
        help="share of good parts that will be called bad on average (0.05)",
    )
    wish.add_argument(
        "--at_most",
        type=float,
        metavar="RATE",
        help="share of good parts that is not to be exceeded, with the confidence: a higher threshold, which misses "
        "more defects",
    )
    parser.add_argument(
        "--confidence", type=float, default=CONFIDENCE, metavar="SHARE", help=f"how sure to be ({CONFIDENCE})"
    )
    parser.add_argument("--station", default="", metavar="NAME", help="name of the station, kept in the file")
    return parser


def _calibrate(options: argparse.Namespace) -> None:
    paths = Files(options.input).paths
    # Asked before the work: numbers out of range, or too few pictures to be sure.
    expecting(len(paths), options.false_alarm_rate, confidence=options.confidence)
    rate = options.false_alarm_rate
    if options.at_most is not None:
        rate = making_sure(len(paths), options.at_most, confidence=options.confidence).expected_rate
    station = open_station(options, mode="latency")
    scores, peaks = zip(*_scored(station, paths), strict=True)
    found = calibrate(
        scores,
        peaks,
        category=station.category,
        model_version=station.version,
        station=options.station,
        tiling=station.tiling,
        false_alarm_rate=rate,
        confidence=options.confidence,
    )
    found.save(options.output)
    wish = rate if options.at_most is None else options.at_most
    for line in (*_described(found), *_advised(found, wish), "", *_others(found), f"written to {options.output}"):
        say(line)
    for line in (*_too_few(found, wish), *_doubted(scores, paths)):
        say(line, sys.stderr)


def _scored(station: Station, paths: Sequence[Path]) -> Iterator[tuple[float, float]]:
    for path in paths:
        try:
            verdict = station.inspect(read_image(path))
        except RuntimeError as error:
            msg = f"The picture {path} got no score ({last_line(error)}): take it away or export the model again."
            raise ValueError(msg) from error
        yield verdict.score, float(verdict.anomaly_map.max())


def _described(found: Calibration) -> list[str]:
    place = f" at {found.station}" if found.station else ""
    cut = f" in {found.tiling}" if found.tiling else ""
    return [
        f"{found.category}{place}, model {found.model_version}: {found.pictures} good pictures{cut}",
        f"threshold {found.threshold:.4f}, of pixels {found.pixel_threshold:.4f}",
        f"  on average {_percent(found.expected_rate)} of good parts will be called bad",
        f"  with {_percent(found.confidence)} confidence at most {_percent(found.upper_bound)} of good parts will be "
        "called bad",
    ]


def _advised(found: Calibration, wish: float) -> list[str]:
    """What it takes to be sure of the wish."""
    if found.upper_bound <= wish:
        return []
    needed = pictures_needed(wish, confidence=found.confidence)
    if found.pictures < needed:
        return [
            f"  {needed - found.pictures} more pictures would let you make sure of {_percent(wish)}: --at_most {wish:g}"
        ]
    sure = making_sure(found.pictures, wish, confidence=found.confidence)
    return [f"  to make sure of {_percent(wish)}: --at_most {wish:g}, threshold {sure.threshold(found.scores):.4f}"]


def _others(found: Calibration) -> Iterator[str]:
    """What other wishes would give."""
    yield "  wish  threshold  on average  at most"
    for rate in OPERATING_POINTS:
        promise = expecting(found.pictures, rate, confidence=found.confidence)
        if promise.keeps(rate):
            numbers = f"{promise.threshold(found.scores):9.4f}  {_percent(promise.expected_rate):>10}"
            yield f"{_percent(rate):>6}  {numbers}  {_percent(promise.upper_bound):>7}"
        else:
            yield f"{_percent(rate):>6}  takes {pictures_expected(rate) - found.pictures} more pictures"


def _too_few(found: Calibration, wish: float) -> list[str]:
    if found.promise.keeps(wish):
        return []
    missing = pictures_expected(wish) - found.pictures
    return [
        f"warning: {found.pictures} pictures are too few for {_percent(wish)}: the threshold is above all of them, and "
        f"{_percent(found.expected_rate)} of good parts will be called bad on average; {missing} more are needed."
    ]


def _doubted(scores: Sequence[float], paths: Sequence[Path]) -> list[str]:
    """Pictures that a person should look at."""
    lines = []
    if doubtful := far_out(scores):
        lines.append(f"warning: {len(doubtful)} of the pictures stand far out. Are these parts good? If not, take them "
                     "away and calibrate again:")  # fmt: skip
        lines += [f"  score {scores[number]:.4f}  {paths[number]}" for number in doubtful[:MOST_SHOWN]]
    if repeated := len(scores) - len(set(scores)):
        lines.append(f"warning: {repeated} of the pictures score exactly as another one: take copies away, they make "
                     "the calibration look surer than it is.")  # fmt: skip
    return lines


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
