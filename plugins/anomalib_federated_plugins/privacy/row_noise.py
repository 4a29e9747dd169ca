"""Noise on every row of a finished bank: what earlier systems did, with what it truly promises.

Noise on the rows of a coreset hides the numbers in a row, given that the row was selected. It does not hide a picture:
an unusual one decides which rows there are, and may fill hundreds of them. Only where the rows were drawn blindly, and
at most a fixed number of each picture is sent, does noise per row add up to a promise per picture: another picture in
its place changes at most ``m`` rows, each by at most twice the clip, so the released rows by at most ``2 sqrt(m)``
clips.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from anomalib_federated.bank import Contribution, MemoryBank
from anomalib_federated.interfaces.privacy import BankPrivacy, SiteRows
from anomalib_federated.privacy import PrivacyReport
from anomalib_federated.privacy.gaussian import epsilon_of, mu_of
from anomalib_federated.privacy.noise import Noise
from anomalib_federated.privacy.noise_grid import NoiseGrid
from anomalib_federated_plugins.privacy.none import BANK


class RowNoise(BankPrivacy):
    """Clips each row and adds Gaussian noise to it.

    Args:
        epsilon: Promise per row, added or removed, given the selection.
        delta: Chance that it does not hold.
        clip_norm: Longest Euclidean length of a row.
        rows_per_picture: The most rows of one picture that are sent, the first of them; with rows that were drawn
            blindly (coreset ``random``). The report then tells the larger epsilon per picture, and no distance that
            was measured on the pictures is sent. ``None`` sends all rows, and promises nothing per picture.

    Raises:
        ValueError: If an argument is impossible.

    Example:
        >>> from anomalib_federated.testing import example_bank
        >>> rows = SiteRows(bank=example_bank(rows=4), units=torch.arange(4), chosen_blindly=True)
        >>> RowNoise(epsilon=1.0).report(rows).unit
        'row'
        >>> report = RowNoise(epsilon=1.0, rows_per_picture=1).report(rows)
        >>> report.unit, round(report.epsilon, 2)
        ('picture', 2.15)
    """

    name = "row_noise"

    def __init__(
        self,
        *,
        epsilon: float = 1.0,
        delta: float = 1e-5,
        clip_norm: float = 1.0,
        rows_per_picture: int | None = None,
    ) -> None:
        self.epsilon, self.delta, self.clip_norm = float(epsilon), float(delta), float(clip_norm)
        self._multiplier = 1 / mu_of(self.epsilon, self.delta)
        NoiseGrid(clip=self.clip_norm, multiplier=self._multiplier, dimensions=1)  # refuses impossible ones at once
        if rows_per_picture is not None and (type(rows_per_picture) is not int or rows_per_picture < 1):
            msg = f"rows_per_picture is {rows_per_picture!r}; give a whole number of at least 1, or None."
            raise ValueError(msg)
        self.rows_per_picture = rows_per_picture

    def report(self, rows: SiteRows) -> PrivacyReport:
        """What noise on these rows promises.

        Raises:
            ValueError: If a promise per picture is wanted of rows that were not drawn blindly, or of pictures that may
                have different numbers of patches, or of parts.
        """
        if self.rows_per_picture is None:
            return self._report("row", "add_or_remove", self._multiplier, covers=BANK[:1], exposes=BANK[1:])
        if not rows.chosen_blindly:
            (category, *_) = rows.bank.categories
            msg = (
                f"rows_per_picture is {self.rows_per_picture}, but coreset '{rows.bank.coresets[category]}' looks at "
                "the features, so no noise on rows promises anything per picture; choose the coreset random, or leave "
                "rows_per_picture out."
            )
            raise ValueError(msg)
        space = rows.bank.space
        if rows.unit == "part" or space.image_size is None or space.keep_aspect_ratio:
            msg = (
                "rows_per_picture needs pictures as units, all with equally many patches, since another number of them "
                "would lead to other rows; agree on an image_size without keep_aspect_ratio, or leave it out."
            )
            raise ValueError(msg)
        multiplier = self._multiplier / (2 * self.rows_per_picture**0.5)
        return self._report(rows.unit, "replace", multiplier, covers=BANK, exposes=())

    def protect(self, rows: SiteRows, *, noise: Noise) -> MemoryBank:
        """Clip, and add noise."""
        bank = rows.bank if self.rows_per_picture is None else _untold(_capped(rows, self.rows_per_picture))
        grid = NoiseGrid(clip=self.clip_norm, multiplier=self._multiplier, dimensions=bank.space.dim)
        whole = grid.encode(bank.features.double().cpu().numpy())
        whole += noise.draw(whole.size).reshape(whole.shape)
        return replace(bank, features=torch.from_numpy(grid.decode(whole)).to(bank.features.dtype))

    def _report(
        self,
        unit: Literal["row", "picture", "part"],
        adjacency: Literal["add_or_remove", "replace"],
        multiplier: float,
        *,
        covers: tuple[str, ...],
        exposes: tuple[str, ...],
    ) -> PrivacyReport:
        return PrivacyReport(
            plugin=self.name,
            unit=unit,
            adjacency=adjacency,
            mechanism=f"Each row clipped to length {self.clip_norm:g}; discrete Gaussian noise on each of its numbers.",
            clip=self.clip_norm,
            noise_multipliers=(multiplier,),
            epsilon=epsilon_of(1 / multiplier, self.delta),
            delta=self.delta,
            covers=covers,
            exposes=exposes,
            noise_by="each_site",
        )


def _capped(rows: SiteRows, most: int) -> MemoryBank:
    """The first rows of each picture."""
    seen: Counter[int] = Counter()
    kept = []
    for row, unit in enumerate(rows.units.tolist()):
        seen[unit] += 1
        if seen[unit] <= most:
            kept.append(row)
    return rows.bank.select(torch.tensor(kept))


def _untold(bank: MemoryBank) -> MemoryBank:
    """The bank without what was measured on its pictures: every row stands for equally many patches."""
    items = {item.category: item for item in bank.contributions}
    weights = torch.empty_like(bank.weights)
    contributions: list[Contribution] = []
    for number, category in enumerate(bank.categories):
        own: Tensor = bank.row_category == number
        count = int(own.sum())
        weights[own] = items[category].patches / count
        contributions.append(
            replace(items[category], rows=count, covering_radius=None, mean_distance=None, passes=1, seconds=0.0)
        )
    return replace(bank, weights=weights, contributions=tuple(contributions), covering_radius={})
