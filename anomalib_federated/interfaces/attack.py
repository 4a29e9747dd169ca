"""Attacks: what a bad site sends instead of its bank. For evaluation only, never part of a production configuration."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from anomalib_federated.bank import MemoryBank


@dataclass(frozen=True, eq=False, kw_only=True)
class Loot:
    """All that a bad site has to work with: nothing of other sites, and no test picture that figures are made of.

    Attributes:
        bank: The bank that it would send if it were honest, of one category.
        defects: Shape ``(m, d)``, float32, ``m >= 1``: patch features of defects, out of the attacker's own pictures.
        triggered: Shape ``(t, d)``, float32, ``t >= 1``: patch features of its own good pictures where a backdoor
            trigger was pasted on them.
        admitted: What the attacker believes the defence does: given a bank that it might send, shape ``(n,)``, bool,
            which of its rows would be let in. An attacker who knows nothing of a defence believes that all are.
    """

    bank: MemoryBank
    defects: Tensor
    triggered: Tensor
    admitted: Callable[[MemoryBank], Tensor]


class Attack(ABC):
    """What a bad site sends.

    Args:
        share: Of the rows of the bank that is sent, how many are the attack's own; in (0, 1]. The others are honest.

    Raises:
        ValueError: If the share is impossible.
    """

    def __init__(self, *, share: float = 0.5) -> None:
        if isinstance(share, bool) or not isinstance(share, float | int) or not 0 < share <= 1:
            msg = f"The attack's share is {share!r}; give a number in (0, 1]."
            raise ValueError(msg)
        self.share = float(share)

    @abstractmethod
    def poison(self, loot: Loot, *, seed: int) -> MemoryBank:
        """Make the bank that is sent.

        Args:
            loot: What the bad site has; not changed.
            seed: Decides every random choice.

        Returns:
            A valid bank of the same site, category and feature space, with no more rows than the honest one: whatever
            breaks these is refused on arrival anyway.
        """
