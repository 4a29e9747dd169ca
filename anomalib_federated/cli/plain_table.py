"""Tables on the terminal: a line below the head, text that folds, numbers that do not."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.table import Table


def plain_table(*names: str, numbers: tuple[str, ...]) -> Table:
    """A table without rows.

    Args:
        names: Heads of columns of text.
        numbers: Heads of columns of numbers, which follow.
    """
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in names:
        table.add_column(name, overflow="fold")
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table
