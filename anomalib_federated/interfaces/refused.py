"""What screenings refused, for the record: told by results and tables where no torch is installed, too."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Refused:
    """What a screening refused of a site's rows of one category, for the record.

    Attributes:
        screening: Name of the screening in its chain.
        site: Name of the site.
        category: Name of the category.
        rows: Rows that were refused.
        of: Rows of the category that the site sent, those that earlier screenings refused among them.
        reason: Why.

    Raises:
        ValueError: If the numbers are impossible.

    Example:
        >>> Refused(screening="row_quota", site="plant-a", category="screw", rows=9, of=7, reason="too many")
        Traceback (most recent call last):
        ...
        ValueError: The screening 'row_quota' cannot have refused 9 of 7 rows.
    """

    screening: str
    site: str
    category: str
    rows: int
    of: int
    reason: str

    def __post_init__(self) -> None:
        if not 1 <= self.rows <= self.of:
            msg = f"The screening '{self.screening}' cannot have refused {self.rows} of {self.of} rows."
            raise ValueError(msg)


def refused_altogether(refused: Iterable[Refused]) -> set[tuple[str, str]]:
    """Sites and categories of which no row is left.

    Example:
        >>> first = Refused(screening="row_quota", site="a", category="nut", rows=3, of=4, reason="too many")
        >>> second = Refused(screening="site_zscore", site="a", category="nut", rows=1, of=4, reason="too far")
        >>> refused_altogether([first]), refused_altogether([first, second])
        (set(), {('a', 'nut')})
    """
    left: dict[tuple[str, str], int] = {}
    for each in refused:
        pair = (each.site, each.category)
        left[pair] = left.get(pair, each.of) - each.rows
    return {pair for pair, rows in left.items() if rows == 0}
