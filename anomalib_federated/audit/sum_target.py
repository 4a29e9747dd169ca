"""Noisy sums as an attacker sees them.

The attacker sets what "everybody knows" between the rounds: a site does not trust the state it is given, so its promise
must hold for any. The states here are those that ordinary pictures lead to without noise, and stay the same in all
runs. Beside the audited site there are others, which have no picture and send noise alone: noise that they share with
it would show.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from torch import Tensor

from anomalib_federated.audit.distinguisher import Scores
from anomalib_federated.audit.drawn_ahead import Silence
from anomalib_federated.audit.pictures import canaries
from anomalib_federated.audit.target import Target, Worlds
from anomalib_federated.bank import FeatureSpace
from anomalib_federated.interfaces.privacy import SumPrivacy
from anomalib_federated.privacy.discrete_gaussian import Integers
from anomalib_federated.privacy.noise import STEPS, Noise
from anomalib_federated.privacy.state import State

Views: TypeAlias = list[list[Scores]]
"""Per round, what is seen: the sum of each site, the audited one first, or that of all; in the noise's deviations."""


class SumTarget(Target[Sequence[Tensor], Views]):
    """A plugin that learns from sums.

    Args:
        privacy: The plugin.
        space: Feature space of the pictures.
        ordinary: Pictures that lead to the states between rounds, shape ``(n, rows, columns, d)``.
        noise: Of all runs.
        seed: Decides the canaries.
    """

    def __init__(
        self, privacy: SumPrivacy, *, space: FeatureSpace, ordinary: Tensor, noise: Noise, seed: int = 0
    ) -> None:
        self.privacy, self.report = privacy, privacy.report()
        self._noise, self._seed = noise, seed
        self._known = ordinary[0]
        self._others = {"each_site": 1, "centre": 0, "honest_sites": privacy.adders.honest_sites - 1}
        self._states = self._led_to(privacy.start(space), list(ordinary))

    def worlds(self, ordinary: Tensor) -> Worlds:
        """A picture, with and without the canary that changes the sums most."""
        candidates = canaries(ordinary, seed=self._seed)

        def change(canary: Tensor) -> float:
            return sum(float(vector @ vector) for vector in self._change(canary))

        return Worlds(present=[self._known, max(candidates, key=change)], absent=[self._known])

    def ready(self, pictures: Sequence[Tensor]) -> Sequence[Tensor]:
        """As they are."""
        return pictures

    def release(self, ready: Sequence[Tensor]) -> Views:
        """All rounds."""
        return [self._view(number, ready, noise=self._noise) for number in range(len(self._states))]

    def reader(self, worlds: Worlds) -> Callable[[Views], Scores]:
        """How far each sum lies in the direction of the canary, and of what it adds in other rounds.

        The first score is the logarithm of the likelihood ratio, if the noise is what it should be; the others show
        noise that is used twice.
        """
        changes = self._change(worlds.present[-1])
        ways = [change / (np.linalg.norm(change) or 1.0) for change in changes]

        def scores(views: Views) -> Scores:
            likelihood = sum(float(view[0] @ change) for view, change in zip(views, changes, strict=True))
            own = [float(seen @ way) for view, way in zip(views, ways, strict=True) for seen in view]
            crossed = [
                float(views[one][0] @ ways[other])
                for one in range(len(views))
                for other in range(len(views))
                if one != other and len(ways[one]) == len(ways[other])
            ]
            return np.array([likelihood, *own, *crossed])

        return scores

    def judge(self, pictures: Sequence[Tensor], *, size: int) -> Callable[[Views], Scores]:
        """How far the sums, beside what so many average pictures give, lie in the direction of each picture."""
        vectors = [np.stack(round_vectors) for round_vectors in zip(*map(self._change, pictures), strict=True)]
        means = [each.mean(axis=0) for each in vectors]

        def scores(views: Views) -> Scores:
            found: Scores = sum(
                (
                    (each - mean) @ (view[0] - size * mean)
                    for view, each, mean in zip(views, vectors, means, strict=True)
                ),
                start=np.zeros(len(pictures)),
            )
            return found

        return scores

    def _led_to(self, start: State, pictures: Sequence[Tensor]) -> list[State]:
        states = [start]
        for number in range(len(self.privacy.shares) - 1):
            total = self.privacy.total(self._sums(number, states[-1], pictures, noise=Silence()), states[-1], number,
                                       noise=Silence())  # fmt: skip
            states.append(self.privacy.learn(states[-1], total))
        return states

    def _sums(self, number: int, state: State, pictures: Sequence[Tensor], *, noise: Noise) -> list[Integers]:
        sites = [pictures, *[[]] * self._others[self.privacy.adders.noise_by]]
        return [self.privacy.release([[each] for each in site], state, number, noise=noise) for site in sites]

    def _view(self, number: int, pictures: Sequence[Tensor], *, noise: Noise) -> list[Scores]:
        state = self._states[number]
        sums = self._sums(number, state, pictures, noise=noise)
        if self.privacy.adders.noise_by == "each_site":
            return [each / STEPS for each in sums]
        grid = self.privacy.grid(number, state)
        total = self.privacy.total(sums, state, number, noise=noise)
        return [total.numpy() / (grid.multiplier * grid.clip)]

    def _change(self, picture: Tensor) -> list[Scores]:
        """What a picture adds in each round."""
        return [self._change_in(number, picture) for number in range(len(self._states))]

    def _change_in(self, number: int, picture: Tensor) -> Scores:
        less, again, more = (
            self._view(number, pictures, noise=Silence())[0]
            for pictures in ([self._known], [self._known], [self._known, picture])
        )
        if np.array_equal(less, again):
            return more - less
        # It has noise even then, of its own.
        grid = self.privacy.grid(number, self._states[number])
        vector = self.privacy.contribution(picture, self._states[number]).double().cpu().numpy()
        found: Scores = vector / max(grid.clip, float(np.linalg.norm(vector))) / grid.multiplier
        return found
