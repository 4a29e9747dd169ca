"""A stream read by a thread of its own, of which only the newest picture is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Condition, Thread
from typing import Generic, TypeVar

PictureT = TypeVar("PictureT")


class Newest(Generic[PictureT]):
    """The pictures of a stream, always read on, so that none is old when it is asked for.

    Args:
        pictures: The stream; it is read in a thread until it ends or raises OSError.
        close: Ends the stream.

    Example:
        >>> from itertools import count
        >>> newest = Newest(count(), close=lambda: None)
        >>> newest.fresh(5.0) < newest.fresh(5.0)
        True
        >>> newest.close()
    """

    def __init__(self, pictures: Iterator[PictureT], *, close: Callable[[], None]) -> None:
        self._changed = Condition()
        self._count = 0
        self._asked = False
        self._picture: PictureT | None = None
        self._ended: str | None = None
        self._closed = False
        self._close = close
        Thread(target=self._read, args=(pictures,), daemon=True).start()

    def fresh(self, timeout: float) -> PictureT:
        """The next picture that comes after this call; at the first call, one that came since the stream was opened.

        Args:
            timeout: Seconds to wait at most.

        Raises:
            OSError: The stream has ended, or no picture came in time.
        """
        with self._changed:
            before, self._asked = self._count if self._asked else 0, True
            self._changed.wait_for(lambda: self._count > before or self._ended is not None, timeout)
            if self._count == before or self._picture is None:
                raise OSError(self._ended or f"no new picture in {timeout:.0f} s")
            return self._picture

    def close(self) -> None:
        """Have the thread end after its next picture, and the stream closed."""
        self._closed = True

    def _read(self, pictures: Iterator[PictureT]) -> None:
        reason = "the stream has ended"
        try:
            for picture in pictures:
                with self._changed:
                    self._count, self._picture = self._count + 1, picture
                    self._changed.notify_all()
                if self._closed:
                    break
        except (OSError, ValueError) as error:
            reason = f"the stream broke: {error}"
        finally:
            self._close()
            with self._changed:
                self._ended = reason
                self._changed.notify_all()
