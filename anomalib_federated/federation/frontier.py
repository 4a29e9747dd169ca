"""A site's half of exact federated k-center: which of its patches the federation's picks leave farthest."""

from __future__ import annotations

import torch
from torch import Tensor

from anomalib_federated.bank import Contribution, MemoryBank
from anomalib_federated.models.patch_collection import PatchCollection
from anomalib_federated.selection.budget import Budget
from anomalib_federated.selection.nearest_pick import NearestPick

METHOD = "farthest"
"""What the site's rows are, for the record."""


class Frontier:
    """Distances of a site's patches to the picks of the whole federation, kept from round to round.

    Args:
        patches: The site's patch features.
        site: Name of the site.
    """

    def __init__(self, patches: PatchCollection, site: str) -> None:
        self.patches = patches
        self.site = site
        self._near: dict[str, NearestPick] = {}

    def candidates(
        self, picks: MemoryBank | None, *, count: int, budget: Budget, seed: int, dtype: torch.dtype
    ) -> tuple[MemoryBank, dict[str, float]]:
        """The patches from which the next picks will come, as far as this site knows.

        Args:
            picks: All picks so far; without any, each category gives one patch drawn by ``seed``.
            count: Patches per category.
            budget: The most that a site sends.
            seed: Decides that draw.
            dtype: Type of the features sent: float16 or float32.

        Returns:
            A bank of candidates, each standing for itself, and per category what no other patch's squared distance to
            the picks exceeds. Categories of which there are no picks (yet, or because they are complete) are left out
            in later rounds.
        """
        if picks is None:
            banks = [self._draw(category, seed, dtype) for category in self.patches.categories]
            return MemoryBank.merge(banks), {}
        banks, bounds = [], {}
        for category in self.patches.categories:
            if category in picks.categories:
                near = self._follow(category, picks.for_category(category).features)
                rows, bounds[category] = near.farthest(min(count, budget.limit(len(near.squared))))
                banks.append(self._bank(category, rows, dtype, near=near))
        return MemoryBank.merge(banks), bounds

    def _draw(self, category: str, seed: int, dtype: torch.dtype) -> MemoryBank:
        patches = self.patches.patches(category)
        row = torch.randint(patches, (1,), generator=torch.Generator().manual_seed(seed))
        near = self._near[category] = NearestPick(self.patches.rows(category))
        near.add(near.rows.take(row))
        return self._bank(category, row, dtype, near=near)

    def _follow(self, category: str, picked: Tensor) -> NearestPick:
        """Distances to all of ``picked``; those to the first of them are mostly known from the round before."""
        near = self._near.get(category)
        picked = picked.float()
        if near is None or not torch.equal(near.picked, picked[: len(near.picked)]):
            near = self._near[category] = NearestPick(self.patches.rows(category, picks=len(picked)))
        if len(picked) > len(near.picked):
            near.add(picked[len(near.picked) :])
        return near

    def _bank(self, category: str, rows: Tensor, dtype: torch.dtype, *, near: NearestPick) -> MemoryBank:
        distances = near.squared.sqrt()
        contribution = Contribution(
            site=self.site,
            category=category,
            images=self.patches.images(category),
            patches=len(near.squared),
            rows=len(rows),
            coreset=METHOD,
            covering_radius=float(distances.max()),
            mean_distance=float(distances.mean(dtype=torch.float64)),
            passes=near.rows.passes,
            seconds=0.0,
        )
        bank = MemoryBank(
            features=near.rows.take(rows).to(dtype),
            row_category=torch.zeros(len(rows), dtype=torch.int32),
            row_site=torch.zeros(len(rows), dtype=torch.int32),
            weights=torch.ones(len(rows)),
            categories=(category,),
            sites=(self.site,),
            space=self.patches.space,
            contributions=(contribution,),
            coresets={category: METHOD},
            covering_radius={},
        )
        return self.patches.with_groups(bank, rows)
