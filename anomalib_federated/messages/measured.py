"""How well a global bank covers the patches of the sites that measured it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from anomalib_federated.bank import MemoryBank
from anomalib_federated.messages.traffic import TrafficBySite


@dataclass(frozen=True, kw_only=True, eq=False)
class SiteCovering:
    """What one site tells of one category.

    Attributes:
        radius: Largest distance of a patch of the site to its nearest row.
        patches: Shape ``(k,)``, int64: how many of its patches each of the category's ``k`` rows is nearest to.
    """

    radius: float
    patches: Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """What sites measured of one global bank.

    Attributes:
        radius: Per category, the largest distance of a patch of these sites to its nearest row.
        patches: Per category, shape ``(k,)``, int64: how many patches of these sites each of its rows is nearest to.
        by: Per category, the sites over whose patches that was measured, sorted.
        radius_of: Per site and category, the radius over the patches of that site alone.
        left_out: Sites that should have measured but did not, with the reason, sorted by name.
        traffic: Bytes of the question and its answers, if they were counted here.
    """

    radius: dict[str, float]
    patches: dict[str, Tensor]
    by: dict[str, tuple[str, ...]]
    radius_of: dict[str, dict[str, float]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    traffic: TrafficBySite = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        answers: Mapping[str, Mapping[str, SiteCovering]],
        *,
        left_out: Mapping[str, str] | None = None,
        traffic: TrafficBySite | None = None,
    ) -> Measured:
        """Put together what each site tells, per site and category; the order of sites plays no part.

        Example:
            >>> north = {"screw": SiteCovering(radius=2.0, patches=torch.tensor([3, 0]))}
            >>> south = {"screw": SiteCovering(radius=1.5, patches=torch.tensor([1, 4]))}
            >>> measured = Measured.of({"south": south, "north": north})
            >>> measured.radius, measured.patches["screw"].tolist(), measured.by
            ({'screw': 2.0}, [4, 4], {'screw': ('north', 'south')})
        """
        holders: dict[str, dict[str, SiteCovering]] = {}
        for site in sorted(answers):
            for category, covering in answers[site].items():
                holders.setdefault(category, {})[site] = covering
        return cls(
            radius={name: max(each.radius for each in own.values()) for name, own in sorted(holders.items())},
            patches={
                name: torch.stack([each.patches for each in own.values()]).sum(0)
                for name, own in sorted(holders.items())
            },
            by={name: tuple(own) for name, own in sorted(holders.items())},
            radius_of={
                site: {category: each.radius for category, each in sorted(told.items())}
                for site, told in sorted(answers.items())
            },
            left_out=dict(sorted((left_out or {}).items())),
            traffic=traffic or {},
        )

    def applied_to(self, bank: MemoryBank) -> MemoryBank:
        """The bank with its covering radius, and as weights the patches that its rows stand for.

        Categories that not all contributing sites measured stay as they are: their radius is not known, and their
        weights are those of the rows that the sites sent. Beside its equals, a row stands at least for itself.
        """
        holders: dict[str, set[str]] = {}
        for item in bank.contributions:
            holders.setdefault(item.category, set()).add(item.site)
        known = [name for name in bank.categories if holders[name] == set(self.by.get(name, ()))]
        weights = bank.weights.clone()
        for name in known:
            of_category = bank.row_category == bank.categories.index(name)
            weights[of_category] = self.patches[name].float().clamp_min(1)
        radius = bank.covering_radius | {name: self.radius[name] for name in known}
        return replace(bank, covering_radius=radius, weights=weights)
