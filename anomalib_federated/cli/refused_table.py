"""What screenings refused, as a table on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from anomalib_federated.cli.plain_table import plain_table
from anomalib_federated.interfaces.refused import Refused
from anomalib_federated.untrusted import said


def print_refused(refused: Sequence[Refused]) -> None:
    """Print a line per screening, site and category that it refused rows of; nothing if none were.

    Args:
        refused: What was refused in one merge.
    """
    if not refused:
        return
    table = plain_table("site", "category", "refused by", numbers=("rows",))
    table.add_column("why", overflow="fold")
    table.title, table.title_justify = "Rows that screenings refused", "left"
    for each in refused:
        # As Text, nothing in it is taken for markup.
        names = [Text(name) for name in (each.site, each.category, each.screening)]
        table.add_row(*names, f"{each.rows} of {each.of}", Text(said(each.reason)))
    Console(highlight=False).print(table)
