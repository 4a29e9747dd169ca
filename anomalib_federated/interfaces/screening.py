"""Screenings: which rows that sites sent are refused before they are aggregated, and why.

A screening's author writes :meth:`Screening.screen`. How several are run one after the other, and what comes of their
answers, is in :mod:`anomalib_federated.interfaces.screening_chain`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from torch import Tensor

from anomalib_federated.bank import MemoryBank


@dataclass(frozen=True, eq=False, kw_only=True)
class Refusal:
    """Rows of one site that a screening refuses.

    Attributes:
        site: Name of the site.
        rows: Shape ``(n,)``, bool: true where the row of the site's bank is refused; all of them refuse the site.
        reason: Why, in a sentence for the operator, with the figures that decided.
    """

    site: str
    rows: Tensor
    reason: str


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


class Screening(ABC):
    """Refuses rows, or whole sites, of one category.

    A screening sees what earlier ones of its chain left. It decides by the rows alone, never by the order in which they
    came, and refuses nothing without a reason that a person can check.
    """

    @abstractmethod
    def screen(self, banks: Sequence[MemoryBank]) -> list[Refusal]:
        """Say what is refused.

        Args:
            banks: One bank per site that has rows of the category left, all of that category alone and of one feature
                space, in the order of the sites' names; not changed. There may be one alone. Their rows may lie on disk
                and be more than memory holds: :class:`anomalib_federated.selection.rows.TensorRows` reads them in
                blocks.

        Returns:
            At most one refusal per site, none without a row; a site that is not named keeps all of its rows. Equal
            banks give equal refusals.
        """
