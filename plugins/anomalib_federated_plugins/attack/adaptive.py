"""Adaptive: an attacker who knows the defence and goes as far as it lets him."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from anomalib_federated.bank import MemoryBank
from anomalib_federated.interfaces.attack import Attack, Loot
from anomalib_federated_plugins.attack.own_rows import in_order_of_spread, with_own_rows
from anomalib_federated_plugins.attack.stealth import start_of_way


class Adaptive(Attack):
    """Finds, for each of its defects, the row nearest to it that it believes the defence admits.

    Rows lie on the straight way to the defect from the nearest honest row. How far each may go is searched by halving,
    for all rows of a bank at once, since a defence judges them together. What is admitted nowhere is dropped, and
    further defects take its place, as long as there are any. If the defence refuses the rows together that it admits
    one by one, those refused are left out; if it refuses all of them, half are.

    Without a defence this is whitelisting.

    Args:
        steps: How often the way is halved.
        share: Of the rows of the bank that is sent, how many are the attack's own; fewer if fewer are admitted.

    Raises:
        ValueError: If the number of steps or the share is impossible.
    """

    def __init__(self, *, steps: int = 5, share: float = 0.5) -> None:
        super().__init__(share=share)
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
            msg = f"The adaptive attack's number of steps is {steps!r}; give a whole number of at least 1."
            raise ValueError(msg)
        self.steps = steps

    def poison(self, loot: Loot, *, seed: int) -> MemoryBank:
        """The bank with the rows that are believed to be admitted; the honest one if none is."""
        most = self.rows(len(loot.bank))
        found = torch.empty(0, loot.bank.space.dim)
        for defects in _some_at_a_time(in_order_of_spread(loot.defects, most=len(loot.defects), seed=seed), most):
            found = torch.cat([found, self._as_far_as_admitted(loot, defects)])[:most]
            if len(found) == most:
                break
        return with_own_rows(loot.bank, _admitted_together(loot, found))

    def _as_far_as_admitted(self, loot: Loot, defects: Tensor) -> Tensor:
        """Rows on the ways to some defects, without those that are admitted nowhere."""
        start = start_of_way(defects, loot.bank)
        reached, refused = torch.zeros(len(defects), 1), torch.full((len(defects), 1), torch.inf)
        tried = torch.ones(len(defects), 1)
        for _ in range(self.steps + 1):
            let_in = _admitted(loot, torch.lerp(start, defects, tried)).unsqueeze(1)
            reached, refused = torch.where(let_in, tried, reached), torch.where(let_in, refused, tried)
            if bool((reached == 1).all()):
                break
            tried = torch.where(reached == 1, 1.0, (reached + refused.clamp_max(1)) / 2)
        return torch.lerp(start, defects, reached)[reached.squeeze(1) > 0]


def _some_at_a_time(rows: Tensor, count: int) -> Iterator[Tensor]:
    return iter(torch.split(rows, count))


def _admitted_together(loot: Loot, rows: Tensor) -> Tensor:
    while len(rows):
        let_in = _admitted(loot, rows)
        if bool(let_in.all()):
            break
        rows = rows[let_in] if bool(let_in.any()) else rows[: len(rows) // 2]
    return rows


def _admitted(loot: Loot, rows: Tensor) -> Tensor:
    """Which of the attack's rows are believed to be let in, shape ``(k,)``, bool."""
    return loot.admitted(with_own_rows(loot.bank, rows))[len(loot.bank) - len(rows) :]
