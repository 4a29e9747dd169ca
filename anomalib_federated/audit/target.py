"""What is audited: a privacy plugin together with how it is used, and what an attacker makes of its releases."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from torch import Tensor

from anomalib_federated.audit.distinguisher import Scores
from anomalib_federated.privacy import PrivacyReport

SeenT = TypeVar("SeenT")
"""All that an attacker sees of one release."""
ReadyT = TypeVar("ReadyT")
"""Pictures, made ready to be released again and again."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Worlds:
    """Two data sets that nobody must be able to tell apart.

    Attributes:
        present: Pictures of shape ``(rows, columns, d)``, with the canary.
        absent: The same without it, or with another picture in its place, as the promise has it.
    """

    present: Sequence[Tensor]
    absent: Sequence[Tensor]


class Target(ABC, Generic[ReadyT, SeenT]):
    """A mechanism that can be run again and again.

    Nothing of it is rebuilt here: every release is made by the plugin's own methods, with all that they do.
    """

    report: PrivacyReport
    """What is promised."""

    @abstractmethod
    def worlds(self, ordinary: Tensor) -> Worlds:
        """The two data sets between which most is given away, as far as is known.

        Args:
            ordinary: Pictures, shape ``(n, rows, columns, d)``.
        """

    @abstractmethod
    def ready(self, pictures: Sequence[Tensor]) -> ReadyT:
        """What does not depend on noise, such as the choice of rows.

        Args:
            pictures: Of shape ``(rows, columns, d)`` each.
        """

    @abstractmethod
    def release(self, ready: ReadyT) -> SeenT:
        """One run of the plugin, with noise of its own."""

    @abstractmethod
    def reader(self, worlds: Worlds) -> Callable[[SeenT], Scores]:
        """What an attacker computes who knows both data sets, and wants to know which of them was released.

        Returns:
            A function that gives scores, shape ``(k,)``: none of them needs to be good, the best is found later.
        """

    @abstractmethod
    def judge(self, pictures: Sequence[Tensor], *, size: int) -> Callable[[SeenT], Scores]:
        """What an attacker computes who has pictures, and wants to know of each whether it is in there.

        Args:
            pictures: Of shape ``(rows, columns, d)`` each.
            size: How many pictures are in there.

        Returns:
            A function that gives a score per picture, shape ``(n,)``; higher for those that are in.
        """
