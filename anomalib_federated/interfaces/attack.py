"""Attacks: what a bad site sends instead of its bank. For evaluation only, never part of a production configuration."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from anomalib_federated.bank import MemoryBank
from anomalib_federated.selection.budget import Budget


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

    def rows(self, n: int) -> int:
        """The most rows of a bank of ``n`` that are the attack's own: its share, rounded down, and at least 1."""
        return Budget.of(self.share).limit(n)

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


def forged(honest: MemoryBank, sent: MemoryBank) -> Tensor:
    """Which rows of a bank that was sent are none of the honest one, or come more often than they do there.

    Args:
        honest: What the site would send if it were honest.
        sent: What it sends.

    Returns:
        Shape ``(len(sent),)``, bool.

    Example:
        >>> from dataclasses import replace
        >>> from anomalib_federated.testing import example_bank
        >>> bank = example_bank(rows=3)
        >>> forged(bank, replace(bank, features=bank.features[[0, 0, 2]])).tolist()
        [False, True, False]
    """
    left = Counter(_as_bytes(honest))
    found = []
    for row in _as_bytes(sent):
        found.append(left[row] == 0)
        left[row] -= left[row] > 0
    return torch.tensor(found)


def _as_bytes(bank: MemoryBank) -> list[bytes]:
    return [row.tobytes() for row in bank.features.cpu().numpy()]
