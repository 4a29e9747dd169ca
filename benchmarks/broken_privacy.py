"""Privacy plugins with one fault each, which an audit must catch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from anomalib_federated.bank import Contribution, MemoryBank
from anomalib_federated.interfaces.privacy import SiteRows, SumPrivacy
from anomalib_federated.privacy import PrivacyReport
from anomalib_federated.privacy.discrete_gaussian import Integers
from anomalib_federated.privacy.noise import Noise
from anomalib_federated.privacy.state import State
from anomalib_federated_plugins.privacy.row_noise import RowNoise

BLOCKS = 16
LONG = 1e6
"""Longer than the clip: some plugins keep to it themselves."""


class Halved(Noise):
    """Half of other noise."""

    def __init__(self, noise: Noise) -> None:
        super().__init__()
        self._noise = noise

    def draw(self, count: int) -> Integers:
        """Rounded down."""
        return self._noise.draw(count) // 2


class Again(Noise):
    """What other noise gave the first time, as long as it is long enough."""

    def __init__(self, noise: Noise) -> None:
        super().__init__()
        self._noise, self._drawn = noise, np.empty(0, dtype=np.int64)

    def draw(self, count: int) -> Integers:
        """The same again."""
        if len(self._drawn) < count:
            self._drawn = self._noise.draw(count)
        return self._drawn[:count].copy()


def broken_sums(plugin: type[SumPrivacy]) -> Iterator[tuple[str, type[SumPrivacy]]]:
    """The plugin with each fault, and the fault's name."""

    class HalfTheNoise(plugin):
        def release(self, units: Iterable[Sequence[Tensor]], state: State, number: int, *, noise: Noise) -> Integers:
            return super().release(units, state, number, noise=Halved(noise))

    class NoiseOfTheFirstRound(plugin):
        def release(self, units: Iterable[Sequence[Tensor]], state: State, number: int, *, noise: Noise) -> Integers:
            if number == 0:
                self._again = Again(noise)
            return super().release(units, state, number, noise=self._again)

    class NoiseOfTheFirstSite(plugin):
        calls = 0

        def release(self, units: Iterable[Sequence[Tensor]], state: State, number: int, *, noise: Noise) -> Integers:
            if self.calls % 2 == 0:
                self._again = Again(noise)
            self.calls += 1
            return super().release(units, state, number, noise=self._again)

    class ClipsPerBlock(plugin):
        def release(self, units: Iterable[Sequence[Tensor]], state: State, number: int, *, noise: Noise) -> Integers:
            grid = self.grid(number, state)
            total = np.zeros(grid.dimensions, dtype=np.int64)
            for [picture] in units:
                vector = self.contribution(picture, state).double().numpy() * LONG
                block = np.arange(len(vector)) * BLOCKS // len(vector)
                total += grid.encode(np.stack([vector * (block == each) for each in range(BLOCKS)])).sum(axis=0)
            return self.adders.at_site(total, noise=noise)

    yield "half of the noise", HalfTheNoise
    if len(plugin.shares) > 1:
        yield "noise of the first round used again", NoiseOfTheFirstRound
    yield "all sites add the same noise", NoiseOfTheFirstSite
    yield f"each of {BLOCKS} blocks at the clip", ClipsPerBlock


class ClaimsPictures(RowNoise):
    """Says "epsilon per picture" of noise per row; sends nothing but the rows."""

    def report(self, rows: SiteRows) -> PrivacyReport:
        """What is not true."""
        return replace(super().report(rows), unit="picture", exposes=())

    def protect(self, rows: SiteRows, *, noise: Noise) -> MemoryBank:
        """Noise on each row."""
        return _rows_alone(super().protect(rows, noise=noise))


class ClaimsPicturesShuffled(ClaimsPictures):
    """Likewise, with the rows in an order of chance."""

    def protect(self, rows: SiteRows, *, noise: Noise) -> MemoryBank:
        """Noise on each row, and another order each time."""
        order = torch.from_numpy(np.argsort(noise.draw(len(rows.bank)), kind="stable"))
        return super().protect(rows, noise=noise).select(order)


def _rows_alone(bank: MemoryBank) -> MemoryBank:
    def untold(item: Contribution) -> Contribution:
        return replace(item, covering_radius=1e6, mean_distance=1e6, images=1, patches=len(bank))

    return replace(
        bank,
        weights=torch.ones_like(bank.weights),
        contributions=tuple(map(untold, bank.contributions)),
        covering_radius={},
    )
