"""Lines on the terminal that name files."""

from __future__ import annotations

import sys
from typing import TextIO


def say(line: str, stream: TextIO | None = None) -> None:
    r"""Print a line at once; a line break or an escape code in a file name must not forge a line of its own.

    Args:
        line: What to print.
        stream: Where to; standard output if not given.

    Example:
        >>> say("parts/a\nb.png")
        parts/a\nb.png
    """
    shown = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in line)
    stream = sys.stdout if stream is None else stream
    stream.write(f"{shown}\n")
    stream.flush()
