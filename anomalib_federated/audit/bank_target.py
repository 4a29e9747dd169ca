"""Released banks as an attacker sees them: their rows, in their order and without it, and all that is beside the rows.

The attacker knows the coreset and its seed, and therefore which rows each data set gives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from anomalib_federated.audit.distinguisher import Scores
from anomalib_federated.audit.drawn_ahead import Silence
from anomalib_federated.audit.target import Target, Worlds
from anomalib_federated.bank import Contribution, FeatureSpace, MemoryBank
from anomalib_federated.interfaces.coreset import Coreset
from anomalib_federated.interfaces.privacy import BankPrivacy, SiteRows
from anomalib_federated.privacy.noise import Noise

SITE, CATEGORY = "audited", "audited"
AVERAGED = 1000
"""Banks whose mean shows what noise of a plugin's own hides."""
FAR = 100.0
"""How far the canary's patches lie outside of ordinary pictures, and from each other."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Selecting:
    """How a site chooses its rows.

    Attributes:
        coreset: Chooses them.
        name: Of the coreset, for the record.
        seed: Decides every random choice; known to the attacker.
    """

    coreset: Coreset
    name: str
    seed: int = 0

    def rows(self, pictures: Sequence[Tensor], *, space: FeatureSpace) -> SiteRows:
        """What a site of these pictures has before it is protected.

        Args:
            pictures: Of shape ``(rows, columns, d)`` each.
            space: Their feature space.
        """
        features = torch.cat([picture.flatten(0, 1) for picture in pictures])
        units = torch.arange(len(pictures)).repeat_interleave(len(features) // len(pictures))
        selection = self.coreset.select(features, seed=self.seed)
        count = len(selection.indices)
        bank = MemoryBank(
            features=features[selection.indices],
            row_category=torch.zeros(count, dtype=torch.int32),
            row_site=torch.zeros(count, dtype=torch.int32),
            weights=selection.weights,
            categories=(CATEGORY,),
            sites=(SITE,),
            space=space,
            contributions=(
                Contribution(
                    site=SITE,
                    category=CATEGORY,
                    images=len(pictures),
                    patches=len(features),
                    rows=count,
                    coreset=self.name,
                    covering_radius=selection.radius,
                    mean_distance=selection.mean_distance,
                    passes=selection.passes,
                    seconds=0.0,
                ),
            ),
            coresets={CATEGORY: self.name},
            covering_radius={CATEGORY: selection.radius},
        )
        return SiteRows(bank=bank, units=units[selection.indices], chosen_blindly=self.coreset.is_blind)


class BankTarget(Target[SiteRows, MemoryBank]):
    """A plugin that protects banks.

    Args:
        privacy: The plugin.
        space: Feature space of the pictures.
        ordinary: Pictures of which the promise is asked for, shape ``(n, rows, columns, d)``.
        selecting: How the site chooses its rows.
        noise: Of all runs.

    Raises:
        ValueError: If the plugin cannot make a promise with such rows.
    """

    def __init__(
        self, privacy: BankPrivacy, *, space: FeatureSpace, ordinary: Tensor, selecting: Selecting, noise: Noise
    ) -> None:
        self.privacy = privacy
        self._space, self._selecting, self._noise = space, selecting, noise
        self.report = privacy.report(self.ready(list(ordinary)))

    def worlds(self, ordinary: Tensor) -> Worlds:
        """A picture all of whose patches are far out, each elsewhere: there or not, or another one in its place.

        They lie on one line, so that rows that are shortened to one length all become the same, however many there are.
        The other picture is its opposite or an ordinary one, whichever changes the bank more. The place is that of the
        picture of which most rows are chosen, for coresets that choose blindly.
        """
        grid = ordinary.shape[1:3]
        line = torch.randn(ordinary.shape[-1], generator=torch.Generator().manual_seed(self._selecting.seed))
        steps = torch.arange(1.0, grid.numel() + 1).reshape(*grid, 1)
        canary = steps * line * FAR * float(ordinary.abs().max())
        pictures = list(ordinary)
        if self.report.adjacency != "replace":
            return Worlds(present=[*pictures, canary], absent=pictures)
        place = int(torch.bincount(self.ready(pictures).units, minlength=len(pictures)).argmax())
        present, opposite = ([*pictures[:place], each, *pictures[place + 1 :]] for each in (canary, -canary))
        both = [Worlds(present=present, absent=absent) for absent in (opposite, pictures)]
        return max(both, key=self._apart)

    def ready(self, pictures: Sequence[Tensor]) -> SiteRows:
        """The rows that are chosen."""
        return self._selecting.rows(pictures, space=self._space)

    def release(self, ready: SiteRows) -> MemoryBank:
        """The protected bank."""
        return self.privacy.protect(ready, noise=self._noise)

    def reader(self, worlds: Worlds) -> Callable[[MemoryBank], Scores]:
        """Likelihood ratios of the rows in their order and without it, how many there are, and what else is told."""
        present, absent = (self._expected(self.ready(pictures)) for pictures in (worlds.present, worlds.absent))
        width = self._noise_of(self.ready(worlds.absent))
        rows, others = present.features.double(), absent.features.double()
        beside, beside_others = _beside(present), _beside(absent)

        def scores(bank: MemoryBank) -> Scores:
            seen = bank.features.double()
            return np.array(
                [
                    float(len(bank)),
                    _along(seen.numpy(), rows.numpy(), others.numpy(), width=width),
                    _likelihood(seen, rows, width=width) - _likelihood(seen, others, width=width),
                    _along(_beside(bank), beside, beside_others, width=1.0),
                ]
            )

        return scores

    def judge(self, pictures: Sequence[Tensor], *, size: int) -> Callable[[MemoryBank], Scores]:
        """How near any of each picture's patches, shortened as rows are, lies to a row of the bank."""
        del size
        space = self._space
        rows = self._selecting.rows(pictures, space=space)
        protected = self.privacy.protect(rows, noise=Silence()).features
        longest = float(protected.norm(dim=1).max())
        patches = torch.stack([picture.flatten(0, 1) for picture in pictures]).double()
        patches *= (longest / patches.norm(dim=2, keepdim=True).clamp_min(1e-12)).clamp_max(1.0)

        def scores(bank: MemoryBank) -> Scores:
            found: Scores = -torch.cdist(patches, bank.features.double()).amin(dim=(1, 2)).numpy()
            return found

        return scores

    def _apart(self, worlds: Worlds) -> float:
        """How far two data sets' banks lie apart before noise; infinite if they have not as many rows."""
        one, other = (
            self.privacy.protect(self.ready(pictures), noise=Silence()).features.double()
            for pictures in (worlds.present, worlds.absent)
        )
        return float((one - other).norm()) if one.shape == other.shape else float("inf")

    def _expected(self, rows: SiteRows) -> MemoryBank:
        """The bank that comes out without noise; the mean of many, if the plugin has noise even then, of its own."""
        one, other = (self.privacy.protect(rows, noise=Silence()) for _ in range(2))
        if one.features.shape != other.features.shape or torch.equal(one.features, other.features):
            return one
        many = [self.release(rows).features for _ in range(AVERAGED)]
        return replace(one, features=torch.stack(many).mean(dim=0))

    def _noise_of(self, rows: SiteRows) -> float:
        """Standard deviation of the noise on rows, as two releases show it."""
        one, other = (self.release(rows).features.double() for _ in range(2))
        common = min(len(one), len(other))
        return max(float((one[:common] - other[:common]).std()) / 2**0.5, 1e-6)


def _beside(bank: MemoryBank) -> Scores:
    """All numbers of a bank but its features."""
    told = [item for each in bank.contributions for item in vars(each).values() if isinstance(item, int | float)]
    return np.array([*told, *bank.covering_radius.values(), *bank.weights.tolist()], dtype=np.float64)


def _along(seen: Scores, present: Scores, absent: Scores, *, width: float) -> float:
    """The logarithm of the likelihood ratio of Gaussians, but for a constant; 0 if shapes say more than numbers."""
    if not seen.shape == present.shape == absent.shape:
        return 0.0
    way = present - absent
    return float((seen - absent).ravel() @ way.ravel()) / max(width * float(np.linalg.norm(way)), 1e-300)


def _likelihood(seen: Tensor, rows: Tensor, *, width: float) -> float:
    """Logarithm of the likelihood that each row seen is a noisy one of these, whichever."""
    exponents = -torch.cdist(seen, rows).square() / (2 * width**2)
    return float(exponents.logsumexp(dim=1).sum())
