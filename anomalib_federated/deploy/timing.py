"""How long a station takes on this machine: per stage, and how many pictures a second."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from PIL import Image

from anomalib_federated.deploy.inspection import Inspection
from anomalib_federated.deploy.judge import Judge
from anomalib_federated.deploy.sources.frame import Frame
from anomalib_federated.pictures import read_image

PERCENTILES = (50, 90, 99)


@dataclass(frozen=True, kw_only=True)
class Timing:
    """What was measured in one mode.

    Attributes:
        streams: Pictures judged at once.
        pictures: How many were timed.
        per_second: Pictures judged in a second, all stages included.
        milliseconds: Per stage, and in ``total``, the value of each of :data:`PERCENTILES` over the pictures.
    """

    streams: int
    pictures: int
    per_second: float
    milliseconds: Mapping[str, Mapping[int, float]]


def time_station(judge: Judge, paths: Sequence[Path], *, pictures: int) -> Timing:
    """Judge files over and over.

    Each stream judges each file once before, or ten files if there are more, which is not timed: OpenVINO plans anew
    for each size of picture.

    Args:
        judge: What judges.
        paths: Files to judge, all readable.
        pictures: How many to time.

    Raises:
        ValueError: A file got no verdict, or ``pictures`` is below 1.
    """
    if pictures < 1:
        msg = f"pictures is {pictures}: give a whole number of at least 1."
        raise ValueError(msg)
    frames = [Frame("path", str(path), partial(read_image, path)) for path in paths]
    streams = judge.station.streams
    with ThreadPoolExecutor(streams) as pool:
        list(pool.map(partial(_judge, judge), list(islice(frames, 10)) * streams))
        began = time.perf_counter()
        judged = list(pool.map(partial(_judge, judge), islice(cycle(frames), pictures)))
        seconds = time.perf_counter() - began
    stages = {stage: [spent[stage] for spent in judged] for stage in judged[0]}
    stages["total"] = [sum(spent.values()) for spent in judged]
    milliseconds = {
        stage: dict(zip(PERCENTILES, map(float, np.percentile(values, PERCENTILES)), strict=True))
        for stage, values in stages.items()
    }
    return Timing(streams=streams, pictures=pictures, per_second=pictures / seconds, milliseconds=milliseconds)


def draw_pictures(folder: Path, *, size: tuple[int, int], count: int = 4) -> list[Path]:
    """Pictures to time with where there are no real ones.

    Args:
        folder: Receives PNG files.
        size: Height and width in pixels.
        count: How many.
    """
    height, width = size
    paths = []
    for number in range(count):
        rng = np.random.default_rng(number)
        coarse = rng.integers(0, 256, (max(1, height // 16), max(1, width // 16), 3), dtype=np.uint8)
        smooth = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        grain = rng.integers(0, 8, (height, width, 3), dtype=np.uint8)
        paths.append(folder / f"{number}.png")
        Image.fromarray(np.asarray(smooth) // 2 + grain).save(paths[-1])
    return paths


def _judge(judge: Judge, frame: Frame) -> Mapping[str, float]:
    inspection: Inspection | None = judge(frame)
    if inspection is None or inspection.verdict is None:
        reason = None if inspection is None else inspection.error
        msg = f"{reason or frame.name} Time with pictures that can be judged."
        raise ValueError(msg)
    return inspection.milliseconds
