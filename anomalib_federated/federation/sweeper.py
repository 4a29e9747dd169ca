"""Work through a list again and again, though any step of it may block for minutes.

The steps run in a thread of their own. When one of them keeps it too long, another thread works on beside it; the first
ends as soon as it gets free. All are daemons: none keeps the process from ending.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable


class Sweeper:
    """Does steps in a thread.

    Args:
        steps: Lists them, at the beginning of each sweep. A step that another thread is still at must do nothing.
        clock: Tells the time in seconds.
        patience: Seconds for which a step may hold up the others: until then there is no more than one at a time, and
            what it takes of memory is taken once.
        most: Steps that may be held up side by side, of at least 1: when so many are, nothing goes on.
    """

    def __init__(
        self,
        steps: Callable[[], Iterable[Callable[[], None]]],
        *,
        clock: Callable[[], float],
        patience: float,
        most: int,
    ) -> None:
        self._steps = steps
        self._clock = clock
        self._patience = patience
        self._most = most
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []  # those that may be alive; the last one goes through the sweep
        self._number = 0  # of the sweep that goes on; 0 if none is to
        self._stirred = clock()
        self._error: BaseException | None = None

    def sweep(self) -> None:
        """Begin a sweep, unless the one before is still getting on, or too many are held up.

        Raises:
            BaseException: Whatever a step raised since the last call, such as Flower's sign that the run was stopped.
        """
        with self._lock:
            if self._error is not None:
                raise self._error
            if self._gets_on():
                return
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            if len(self._threads) == self._most:
                return
            self._number, self._stirred = self._number + 1, self._clock()
            thread = threading.Thread(target=self._run, args=(self._number,), name=f"sweep-{self._number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Begin no further step; one that is under way goes on."""
        with self._lock:
            self._number = 0

    def _run(self, number: int) -> None:
        try:
            for step in self._steps():
                if not self._goes_on(number):
                    return
                step()
        except BaseException as error:  # noqa: BLE001 - sweep raises it, in the thread that can act on it
            with self._lock:
                self._error = error

    def _gets_on(self) -> bool:
        """Whether the last sweep is under way, and not held up."""
        alive = bool(self._threads) and self._threads[-1].is_alive()
        return alive and self._clock() - self._stirred < self._patience

    def _goes_on(self, number: int) -> bool:
        with self._lock:
            if number != self._number:
                return False
            self._stirred = self._clock()
            return True
