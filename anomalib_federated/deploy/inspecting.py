"""The station at work: pictures from a source to the judge, and what became of each to everyone who wants to know."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from types import FrameType
from typing import Any, Protocol

from anomalib_federated.deploy.inspection import Inspection
from anomalib_federated.deploy.journal import Journal
from anomalib_federated.deploy.judge import Judge
from anomalib_federated.deploy.sources.frame import Source


class Onlooker(Protocol):
    """Who is told how the work goes: the page."""

    def beat(self, trouble: str | None) -> None:
        """Hear that the station is alive, and why no pictures come, if none do."""
        ...

    def take(self, number: int, shown: bytes | None) -> None:
        """Hear that the record has another part, and get its picture."""
        ...


def inspect_all(
    source: Source,
    judge: Judge,
    journal: Journal,
    *,
    tell: Callable[[Mapping[str, Any]], None],
    stop: Event,
    onlooker: Onlooker | None = None,
) -> None:
    """Judge all pictures of a source; as many at once as the station has streams, told of in the source's order.

    Args:
        source: Where pictures come from.
        judge: Judges them.
        journal: Remembers each part before anybody is told of it.
        tell: Gets the line of each part. First that of the last part before a kill, which it may know already.
        stop: When set, pictures in flight are finished and no more are taken.
        onlooker: Who else is told.
    """
    if journal.untold is not None:
        tell(journal.untold)
    # In latency mode a picture is finished before the next one is taken up.
    most = 1 if judge.station.streams == 1 else 2 * judge.station.streams
    flying: deque[Future[Inspection | None]] = deque()

    def land() -> None:
        inspection = flying.popleft().result()
        if inspection is None:
            return
        line = journal.add(inspection.line(journal.record.number + 1), signature=inspection.frame.signature)
        tell(line)
        if onlooker is not None:
            onlooker.take(line["number"], inspection.shown)
            onlooker.beat(source.trouble)

    with ThreadPoolExecutor(judge.station.streams, thread_name_prefix="judge") as pool:
        for frame in source.frames(stop):
            if frame is not None:
                flying.append(pool.submit(judge, frame))
            while flying and (len(flying) >= most or flying[0].done()):
                land()
            if onlooker is not None and not flying:
                onlooker.beat(source.trouble)
        while flying:
            land()


@contextmanager
def stopped_by_signals() -> Iterator[Event]:
    """An event that SIGINT and SIGTERM set; a second signal ends the process at once."""
    stop = Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def on_signal(number: int, frame: FrameType | None) -> None:
        del number, frame
        stop.set()
        for each in before:
            signal.signal(each, signal.SIG_DFL)

    for number in before:
        signal.signal(number, on_signal)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
