"""Screenings: which rows that sites sent are refused before they are aggregated, and why.

A screening's author writes :meth:`Screening.screen`. How several are run one after the other, and what comes of their
answers, is in :mod:`anomalib_federated.interfaces.screening_chain`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
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
